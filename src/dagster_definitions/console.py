"""What a person reads in the terminal: one short line per event, and one sentence where he must mend something."""

import logging

import dagster as dg

SAID_ALREADY = {"DagsterAssetCheckFailedError", "DagsterExecutionInterruptedError"}  # Dagster's way to end a step


class OneLine(logging.Formatter):
    """Time, step, message. A stack trace only where the fault is the program's own, and only once."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        about = getattr(record, "dagster_meta", None) or {}
        event, step = about.get("dagster_event"), about.get("step_key")
        message = about.get("orig_message") or record.getMessage()
        if isinstance(event, dg.DagsterEvent) and event.is_step_failure:
            message = _failure(event)
        where = f"{step}: " if step else ""
        return f"{self.formatTime(record, self.datefmt)} {where}{message}"


@dg.logger(
    {"log_level": dg.Field(str, default_value="INFO", description="Least level that is shown")},
    description="One short line per event; what the user can mend without a stack trace.",
)
def console(context: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.getLogger("dagster_definitions.console")
    logger.propagate = False
    logger.setLevel(context.logger_config["log_level"])
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine())
    handler.addFilter(lambda record: " Not executing." not in record.getMessage())  # a line per step downstream
    logger.handlers = [handler]
    return logger


def _failure(event: dg.DagsterEvent) -> str:
    failure = event.step_failure_data
    if failure.user_failure_data is not None:  # dg.Failure: its description is the sentence
        return f"ERROR {failure.user_failure_data.description}"
    if failure.error is not None and failure.error.cls_name in SAID_ALREADY:
        return f"ERROR {failure.error.message.partition(': ')[2].strip()}"
    return f"ERROR {failure.error_display_string}"
