"""The probes by name: a new one is one file and one line here."""

PROBES: dict[str, str] = {
    "singular_values": "gradprobe.probes.singular_values:singular_values",
    "gradient_norm": "gradprobe.probes.gradient_norm:gradient_norm",
    "eigenvalue_real_parts": "gradprobe.probes.eigenvalue_real_parts:eigenvalue_real_parts",
    "input_sensitivity": "gradprobe.probes.input_sensitivity:input_sensitivity",
    "loss_gradient": "gradprobe.probes.loss_gradient:loss_gradient",
    "parameter_sensitivity": "gradprobe.probes.parameter_sensitivity:parameter_sensitivity",
    "decay_attribution": "gradprobe.probes.decay_attribution:decay_attribution",
    "condition": "gradprobe.probes.condition:condition",
    "logarithmic_norm": "gradprobe.probes.logarithmic_norm:logarithmic_norm",
    "lyapunov_exponents": "gradprobe.probes.lyapunov_exponents:lyapunov_exponents",
    "non_normality": "gradprobe.probes.non_normality:non_normality",
    "state_statistics": "gradprobe.probes.state_statistics:state_statistics",
    "end_to_end_eigenvalues": "gradprobe.probes.end_to_end_eigenvalues:end_to_end_eigenvalues",
    "state_trajectory": "gradprobe.probes.state_trajectory:state_trajectory",
    "state_separation": "gradprobe.probes.state_separation:state_separation",
    "linear_readout": "gradprobe.probes.linear_readout:linear_readout",
    "vector_field": "gradprobe.probes.vector_field:vector_field",
}
"""The function of every probe, as ``"module:function"``."""
