"""The ground floor: messages, clock, errors, options, text that is safe to print. It uses no other room."""
