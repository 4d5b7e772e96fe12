"""Files on their way: multipart bodies read while they are sent, and downloads that end whole or with an error.

It may know `http`'s answers and connections. Names of files that a peer chose are made harmless here.

Others use: `ByteStream`, `Download`, `downloadable`, `FileInput`, `MultipartBody`, `Upload`.
"""
