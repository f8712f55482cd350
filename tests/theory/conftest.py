from hypothesis import settings

settings.register_profile("theory", database=None, derandomize=True, deadline=None)
settings.load_profile("theory")
