"""Slack's rules for blocks, as far as the product uses them."""


def check_blocks(blocks, *, most, modal=False):
    """Slack's rules for blocks, as far as the product uses them; the error, or an empty string."""
    if len(blocks) > most:
        return "invalid_blocks: too many"
    seen = set()
    for block in blocks:
        problem = _check_block(block, modal) or ("block_id twice" if block.get("block_id") in seen else "")
        if problem:
            return f"invalid_blocks: {problem}"
        seen |= {block["block_id"]} if "block_id" in block else set()
    if sum(len(text) for text in texts(blocks)) > 13_200:
        return "msg_blocks_too_long"
    return ""


def texts(blocks):
    """Every text that blocks show."""
    for block in blocks:
        for part in (block.get("text"), *block.get("elements", []), block.get("label")):
            text = part.get("text") if isinstance(part, dict) else None
            yield from ([text["text"]] if isinstance(text, dict) else [text] if text else [])


def _check_block(block, modal):
    kind = block.get("type")
    return _CHECKS[kind](block) if kind in _CHECKS and (modal or kind != "input") else f"type {kind}"


def _check_context(block):
    if not 1 <= len(block["elements"]) <= 10:
        return "context elements"
    return next(filter(None, (_check_text(e, 3000, ("mrkdwn",)) for e in block["elements"])), "")


def _check_actions(block):
    if not 1 <= len(block["elements"]) <= 25:
        return "actions elements"
    names = [e["action_id"] for e in block["elements"]]
    if len(set(names)) != len(names):
        return "action_id twice"
    return next(filter(None, map(_check_button, block["elements"])), "")


def _check_image(block):
    if not 1 <= len(block["alt_text"]) <= 2000 or ("slack_file" in block) == ("image_url" in block):
        return "image"
    return _check_text(block["title"], 2000, ("plain_text",)) if "title" in block else ""


def _check_input(block):
    return _check_text(block["label"], 2000, ("plain_text",)) or _check_element(block["element"])


def _check_element(element):
    if element["type"] in ("static_select", "checkboxes"):
        options = element["options"]
        most = 10 if element["type"] == "checkboxes" else 100
        if not 1 <= len(options) <= most or element.get("initial_option", options[0]) not in options:
            return "options"
        return next(filter(None, (_check_text(one["text"], 75, ("plain_text",)) for one in options)), "")
    return "" if element["type"] == "plain_text_input" and element["max_length"] <= 3000 else "element"


def _check_button(button):
    if button["type"] != "button" or len(button["action_id"]) > 255 or len(button["value"]) > 2000:
        return "button"
    if button.get("style", "primary") not in ("primary", "danger"):
        return "style"
    return _check_text(button["text"], 75, ("plain_text",))


def _check_text(text, most, kinds):
    if text["type"] not in kinds:
        return f"text type {text['type']}"
    if not 1 <= len(text["text"]) <= most:
        return f"text length {len(text['text'])}, 1 to {most}"
    if "verbatim" in text and text["type"] != "mrkdwn":
        return "verbatim"
    return ""


_CHECKS = {
    "header": lambda block: _check_text(block["text"], 150, ("plain_text",)),
    "section": lambda block: _check_text(block["text"], 3000, ("mrkdwn", "plain_text")),
    "context": _check_context,
    "actions": _check_actions,
    "image": _check_image,
    "input": _check_input,
}
