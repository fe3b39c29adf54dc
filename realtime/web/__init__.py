"""The page in the browser, and its API: what `avel-live --web` and `avel serve` show.

    app      the application: guard, API, page       guard     who may, how large, from where
    api      routes and what they answer             sessions  passwords, cookies, attempts
    live     records as they come                    server    listens, in threads of its own
    box      what the page knows of streams          static/   the page itself

Needs the extra `[web]`; imported only where a page is asked for.
"""
