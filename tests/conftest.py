"""What every test gets: the service fixtures, and a hypothesis profile that does not depend on the machine's speed."""

import hypothesis

pytest_plugins = ["tests.services.fixtures"]

# Two shared cores make single examples slow now and then; that is not what a property test is about.
hypothesis.settings.register_profile("house", deadline=None, print_blob=True)
hypothesis.settings.load_profile("house")
