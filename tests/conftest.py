from hypothesis import settings

# Machines under load are slow, not wrong.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
