"""The models by name: a new one is one file and one line here."""

MODELS: dict[str, str] = {
    "vanilla": "gradprobe.models.vanilla:Vanilla",
    "feedback": "gradprobe.models.feedback:Feedback",
    "lstm": "gradprobe.models.lstm:Lstm",
    "gru": "gradprobe.models.gru:Gru",
    "antisymmetric": "gradprobe.models.antisymmetric:Antisymmetric",
    "gated_antisymmetric": "gradprobe.models.gated:GatedAntisymmetric",
    "gated_unstructured": "gradprobe.models.gated:GatedUnstructured",
    "orthogonal": "gradprobe.models.orthogonal:Orthogonal",
    "urnn": "gradprobe.models.urnn:Urnn",
    "full_capacity_urnn": "gradprobe.models.urnn:FullCapacityUrnn",
    "cornn": "gradprobe.models.cornn:CoRnn",
    "lem": "gradprobe.models.lem:Lem",
    "irnn": "gradprobe.models.irnn:Irnn",
    "chrono_lstm": "gradprobe.models.chrono_lstm:ChronoLstm",
    "cfn": "gradprobe.models.cfn:Cfn",
    "lipschitz": "gradprobe.models.lipschitz:Lipschitz",
    "minimal_rnn": "gradprobe.models.minimal_rnn:MinimalRnn",
    "soft_orthogonal": "gradprobe.models.soft_orthogonal:SoftOrthogonal",
    "kru": "gradprobe.models.kru:Kru",
    "exprnn": "gradprobe.models.skew_orthogonal:ExpRnn",
    "scornn": "gradprobe.models.skew_orthogonal:ScoRnn",
}
"""The cell class of every model, as ``"module:class"``."""
