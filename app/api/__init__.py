"""HTTP <-> domain: the vendor's API 3.0. ``gateway`` lists the steps of a request.

No module here decodes or analyses images.
"""
