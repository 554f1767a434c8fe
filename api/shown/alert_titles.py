"""The wording of alerts: a Chinese sentence for each kind, with 疑似 where the platform inferred it (R34)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from domain.vehicle.alerts import Alert

NOUNS: Final[Mapping[str, str]] = {
    "emergency": "紧急报警",
    "speeding": "超速行驶",
    "fatigue": "疲劳驾驶",
    "dangerous_driving": "危险驾驶",
    "gnss_fault": "定位模块故障",
    "antenna_open": "定位天线未接或被剪断",
    "antenna_short": "定位天线短路",
    "power_low": "终端主电源欠压",
    "power_lost": "终端主电源断电",
    "display_fault": "终端显示屏故障",
    "tts_fault": "语音播报故障",
    "camera_fault": "摄像头故障",
    "ic_card_fault": "从业资格证读卡器故障",
    "speeding_warning": "超速预警",
    "fatigue_warning": "疲劳驾驶预警",
    "driving_time_exceeded": "当天累计驾驶超时",
    "parked_too_long": "超时停车",
    "area": "进出限制区域",
    "route": "进出限制路线",
    "section_time": "路段行驶时间异常",
    "off_route": "偏离路线",
    "vss_fault": "车速传感器故障",
    "fuel_abnormal": "油量异常",
    "stolen": "车辆被盗",
    "illegal_ignition": "非法点火",
    "illegal_move": "非法移动",
    "collision": "碰撞报警",
    "rollover": "侧翻报警",
    "illegal_door": "非法开门",
    "phone_use": "驾驶时接打手机",
    "smoking": "驾驶时抽烟",
    "distracted": "驾驶分心",
    "driver_abnormal": "驾驶员异常",
    "no_seat_belt": "未系安全带",
    "forward_collision_warning": "前方碰撞预警",
    "lane_departure": "车道偏离",
    "too_close": "车距过近",
    "pedestrian": "行人碰撞预警",
    "tyre": "轮胎异常",
    "blind_spot": "盲区预警",
}


def title_of(alert: Alert) -> str:
    """Word an alert, for example ``疑似超速行驶，最高 112 公里/小时，限速 100 公里/小时``."""
    noun = NOUNS.get(alert.kind, "安全提醒")
    title = f"疑似{noun}" if alert.source == "platform" else noun
    if alert.kind != "speeding":
        return title
    title += f"，最高 {alert.peak_dkmh / 10:.0f} 公里/小时"
    return title if alert.limit_kmh is None else f"{title}，限速 {alert.limit_kmh} 公里/小时"
