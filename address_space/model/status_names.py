"""Names, in every language, of what a meter tells about its relay, valve, credit and condition; by browse path."""

from __future__ import annotations

from collections.abc import Mapping

from address_space.model.definition import Names

STATUS_NAMES: Mapping[str, Names] = {
    "Switch.State": Names("Relay state", "Состояние реле", "Rele holati", "继电器状态"),
    "Switch.Commanded": Names(
        "Relay state commanded", "Заданное состояние реле", "Relening berilgan holati", "继电器命令状态"
    ),
    "Switch.KeepPowerActive": Names("Power kept", "Без отключения", "Uzilmaydi", "保电有效"),
    "Valve.State": Names("Valve state", "Состояние клапана", "Klapan holati", "阀门状态"),
    "Prepayment.MeterCredit": Names(
        "Credit at the meter", "Остаток средств в счётчике", "Hisoblagichdagi qoldiq mablagʻ", "表内剩余金额"
    ),
    "Prepayment.MeterOverdraft": Names(
        "Overdraft at the meter", "Задолженность в счётчике", "Hisoblagichdagi qarz", "表内透支金额"
    ),
    "Prepayment.MeterCreditEnergy": Names(
        "Energy credit at the meter", "Остаток энергии в счётчике", "Hisoblagichdagi qoldiq energiya", "表内剩余电量"
    ),
    "Prepayment.MeterOverdraftEnergy": Names(
        "Energy overdraft at the meter",
        "Перерасход энергии в счётчике",
        "Hisoblagichdagi qarz energiya",
        "表内透支电量",
    ),
    "Prepayment.PurchaseCount": Names("Purchases", "Число покупок", "Xaridlar soni", "购买次数"),
    "Status.BatteryLow": Names("Battery low", "Батарея разряжена", "Batareya zaryadi past", "电池欠压"),
    "Status.ClockBatteryLow": Names(
        "Clock battery low", "Батарея часов разряжена", "Soat batareyasi zaryadi past", "时钟电池欠压"
    ),
    "Status.ReverseFlow": Names("Reverse flow", "Обратный поток", "Teskari oqim", "反向流动"),
    "Status.VoltageLoss": Names("Voltage lost", "Потеря напряжения", "Kuchlanish yoʻqolgan", "失压"),
    "Status.Undervoltage": Names("Undervoltage", "Пониженное напряжение", "Past kuchlanish", "欠压"),
    "Status.Overvoltage": Names("Overvoltage", "Повышенное напряжение", "Yuqori kuchlanish", "过压"),
    "Status.CurrentLoss": Names("Current lost", "Потеря тока", "Tok yoʻqolgan", "失流"),
    "Status.Overcurrent": Names("Overcurrent", "Превышение тока", "Ortiqcha tok", "过流"),
    "Status.Overload": Names("Overload", "Перегрузка", "Ortiqcha yuklama", "过载"),
    "Status.PhaseFailure": Names("Phase failure", "Обрыв фазы", "Faza uzilgan", "断相"),
    "Status.LowCredit": Names("Low credit", "Средства на исходе", "Mablagʻ kam qolgan", "余额不足"),
    "Status.MagneticField": Names("Magnetic field", "Воздействие магнитом", "Magnit taʼsiri", "磁场干扰"),
    "Status.Leakage": Names("Leakage", "Утечка", "Sizib chiqish", "泄漏"),
    "Status.EmptyPipe": Names("Empty pipe", "Пустая труба", "Quvur boʻsh", "空管"),
    "Status.SensorFault": Names("Sensor fault", "Неисправность датчика", "Datchik nosoz", "传感器故障"),
    "Status.Tamper": Names("Tamper", "Вмешательство", "Ruxsatsiz aralashuv", "非法干预"),
    "Status.ProgrammingAllowed": Names(
        "Programming allowed", "Программирование разрешено", "Dasturlashga ruxsat berilgan", "编程允许"
    ),
    "Status.CoverOpenCount": Names("Cover openings", "Число вскрытий крышки", "Qopqoq ochilishlari soni", "开盖次数"),
    "Status.TerminalCoverOpenCount": Names(
        "Terminal cover openings",
        "Число вскрытий клеммной крышки",
        "Klemma qopqogʻi ochilishlari soni",
        "开端钮盖次数",
    ),
    "Status.PowerDownCount": Names(
        "Power failures", "Число отключений питания", "Taʼminot uzilishlari soni", "掉电次数"
    ),
    "Status.ProgrammingCount": Names("Programmings", "Число программирований", "Dasturlashlar soni", "编程次数"),
}
