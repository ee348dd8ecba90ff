"""A pool without threads."""

from concurrent.futures import Executor, Future


class InlinePool(Executor):
    """Runs each task at once, so that tests need no sleeping."""

    def submit(self, task, /, *args, **kwargs):
        future: Future[object] = Future()
        try:
            future.set_result(task(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 a pool hands every error on
            future.set_exception(error)
        return future

    def shutdown(self, wait=True, *, cancel_futures=False):
        pass
