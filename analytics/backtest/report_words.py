"""The words of back-test reports in both languages: a report is one file that is passed on, so it carries them together."""

from typing import Final

_CHINESE: Final = {
    # titles
    "Back-test of supply forecasts": "耗材预测回测",
    "Back-test of failure forecasts": "故障预测回测",
    "Back-test of remaining life": "剩余寿命回测",
    "Back-test in the Azure layout": "Azure 数据格式回测",
    "Back-test on the own history": "用本公司历史回测",
    # what a report is
    "The past is walked through day by day as if each day were today. Everything was learned before the first forecast; "
    "no forecast knows a later day.": "逐日重走历史，把每一天都当作今天。模型只用首个预测日之前的数据学习，任何预测都不知道以后的日子。",
    "What could not be judged": "无法评判的部分",
    "Supplies: hardly any cartridge has run out so far, so forecasts cannot be compared with what happened. "
    "Let Drumbeat collect some more weeks.": "耗材：到目前为止几乎没有耗材用尽，预测无法与实际结果比较。请让 Drumbeat 再采集几周数据。",
    "The trained model and its intervals: too few run-outs lie before or after the day up to which it would learn. "
    "The formula, which learns from none of them, is judged on all days instead.": "训练模型及其区间：学习截止日之前或之后的用尽次数太少。"
    "公式不从这些用尽中学习，因此改为在全部日期上评判公式。",
    "Small differences: the figures rest on fewer than 40 cartridges, so half a day or some per cent between two of them "
    "may be chance.": "细小差别：这些数字依据的耗材不足 40 件，彼此相差半天或几个百分点可能只是偶然。",
    "Every device: of so large a fleet a part chosen by name was walked, the same that training learns from.":
    "每一台设备：机群很大，只回测了按名称选出的一部分，与训练所用的相同。",
    "Failures: they are judged by the causes that technicians confirmed, each time the models are trained. "
    "The page Forecast quality shows it.": "故障：每次训练模型时，按技术员确认的原因评判。结果见“预测质量”页面。",
    # figures
    "devices": "设备数",
    "days": "天数",
    "rows": "预测行数",
    "training_rows": "训练行数",
    "run_outs_learned": "用于学习的用尽次数",
    "tickets": "工单数",
    "seed": "随机种子",
    "run-outs seen in the walk": "回测期内看到的用尽次数",
    "tickets 3 to 10 days before": "提前 3 至 10 天开出的工单",
    "late or never": "过晚或没有工单",
    "forecast_by": "预测依据",
    "formula: too few run-outs in the training days to learn from": "公式：训练期内用尽次数太少，无法学习",
    "base rate: no known failure in the training days to learn from": "平均故障率：训练期内没有可供学习的已知故障",
    "machines_not_in_the_folder": "文件夹中没有的机器数",
    "mean error where 30 days or less were left, days": "剩余不超过 30 天时的平均误差（天）",
    "P10-P90 holds (P50 at most 30 days)": "实际结果落在 P10 至 P90 之间（P50 不超过 30 天）",
    "failures_learned": "用于学习的故障数",
    "mean_p_fail_7d": "7 天内故障的平均概率",
    "units": "测试单元数",
    "cap": "剩余寿命上限（循环）",
    "regimes": "工况数",
    "machines": "测试机器数",
    "trained_on": "训练机器数",
    "supplies": "耗材数",
    "run_outs": "用尽次数",
    "trained_until": "学习截至",
    "verdict": "结论",
    "p10_p90_holds": "实际结果落在 P10 至 P90 之间的比例",
    "formula: error at 14 days": "公式：剩 14 天时的误差",
    "formula: error at 7 days": "公式：剩 7 天时的误差",
    "formula: error at 3 days": "公式：剩 3 天时的误差",
    "formula: error within 30 days": "公式：剩余不超过 30 天时的误差",
    "model: error at 14 days": "模型：剩 14 天时的误差",
    "model: error at 7 days": "模型：剩 7 天时的误差",
    "model: error at 3 days": "模型：剩 3 天时的误差",
    "model: error within 30 days": "模型：剩余不超过 30 天时的误差",
    "too few run-outs yet: forecasts rest on formula and catalogue": "用尽次数还太少：预测依据公式和产品目录",
    # pictures: headings and how to read them
    "Lead time of tickets": "工单提前量",
    "Days from the ticket to the run-out. Green: in time, 3 to 10 days. 0: no ticket.": "从开出工单到用尽的天数。绿色：及时，3 至 10 天。0：没有工单。",
    "Forecast and outcome": "预测与结果",
    "Median of what happened for each forecast, with the middle 80 %. The dashed line is perfect.": "每个预测值对应的实际结果：中位数和中间 80 % 的范围。虚线为完全准确。",
    "One device through the walk": "一台设备的预测过程",
    "Band P10 to P90 and P50 of days to empty; green: what happened.": "剩余天数的 P50 与 P10 至 P90 区间；绿线为实际情况。",
    "Lives of cartridges": "耗材使用寿命",
    "Lives of supplies": "耗材使用寿命",
    "Share still in use after so many days, with an 80 % interval.": "使用若干天后仍在用的比例，带 80 % 区间。",
    "Calibration, 24 hours": "校准，24 小时",
    "Calibration, 7 days": "校准，7 天",
    "Calibration, 14 days": "校准，14 天",
    "Each dot: forecast chance and how often it happened. On the dashed line is honest; below it chances were too high.": "每个点：预测概率与实际发生的比例。在虚线上为准确，在虚线下方表示预测偏高。",
    "Precision, 24 hours": "命中率，24 小时",
    "Precision, 7 days": "命中率，7 天",
    "Precision, 14 days": "命中率，14 天",
    "Of the riskiest device-days, the share that a failure followed. Dashed: what chance alone would find.": "风险最高的设备日中，随后确实发生故障的比例。虚线：随机挑选的比例。",
    "Survival of parts": "部件寿命曲线",
    "Share still working after so many pages (Kaplan-Meier; parts that still run count as long as they ran).": "打印若干页后仍在工作的比例（Kaplan-Meier 法；仍在使用的部件按已用页数计入）。",
    "Remaining life": "剩余寿命",
    "P50 and the band from P10 to P90 for the last row of each test unit.": "每个测试单元最后一行的 P50 与 P10 至 P90 区间。",
    "Survival of the training units": "训练单元的寿命曲线",
    "Share still running after so many cycles (Kaplan-Meier), with an 80 % interval.": "运行若干循环后仍在运行的比例（Kaplan-Meier 法），带 80 % 区间。",
    "Errors of P50": "P50 的误差",
    "Forecast minus outcome: green is within three days, to the right the forecast said too late.": "预测减实际：绿色为误差不超过三天，右侧表示预测偏晚。",
    # axes and legends
    "days before empty": "距用尽的天数",
    "cartridges": "耗材数",
    "forecast days to empty (P50)": "预测剩余天数（P50）",
    "days that it took": "实际天数",
    "day of the walk": "回测第几天",
    "days to empty": "剩余天数",
    "days in use": "使用天数",
    "still in use": "仍在用",
    "share of device-days looked at, the riskiest first": "检查的设备日比例（风险高的在前）",
    "followed by a failure": "随后发生故障",
    "forecast chance": "预测概率",
    "happened": "实际发生",
    "thousand pages on the part": "部件已打印千页数",
    "still working": "仍在工作",
    "test units, shortest remaining life first": "测试单元（剩余寿命短的在前）",
    "remaining cycles": "剩余循环数",
    "cycles": "循环数",
    "still running": "仍在运行",
    "error in days": "误差（天）",
    "forecasts": "预测数",
    "drum": "感光鼓",
    "fuser": "定影器",
    "feed rollers": "进纸辊",
}  # fmt: skip


def chinese(text: str) -> str:
    """Return the Chinese words for an English text of a report; an empty text where there are none."""
    return _CHINESE.get(text, "")


def both(text: str) -> str:
    """Return a short text in both languages."""
    words = chinese(text)
    return f"{text.replace('_', ' ')} · {words}" if words else text.replace("_", " ")
