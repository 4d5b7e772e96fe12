"""Lists that come in pages: how each style goes on, what a cursor says, and one interface for all of them.

It may know `call` and `response`. It fetches nothing by itself: a pager calls the function that it was bound to.

Others use: `decode_cursor`, `LastId`, `NextCursor`, `Offset`, `Page`, `PageNumber`, `Pager`, `paginated`,
    `SinglePage`, `SortValue`, `StartAfter`.
"""
