"""Writes docs/ticket-states.md from the transition table: `python -m tests.unit.crm_core.write_ticket_states`."""

from pathlib import Path

from crm_core.ticket_states import diagram

HEAD = """# Ticket states

Generated from `TRANSITIONS` in `crm_core/ticket_states.py`; a test fails when this page is not current. Rebuild it with
`python -m tests.unit.crm_core.write_ticket_states`. `merge` and `cancel` are possible in every open state and need a
reason; they are left out of the picture. Clocks stand still only in `waiting_customer` and `waiting_access`. The first
response is met by the first move of a person, restore by `done` once telemetry confirms it.

由 `crm_core/ticket_states.py` 的 `TRANSITIONS` 生成；内容过期时测试失败。任何未结束状态都可以合并或取消，但必须写明原因，图中省略。
只有等待客户和等待进场时计时暂停。首次响应以人员的第一个动作为准；恢复时间以遥测确认后的 `done` 时刻为准。

"""

if __name__ == "__main__":
    Path("docs/ticket-states.md").write_text(HEAD + diagram() + "\n", encoding="utf-8")
