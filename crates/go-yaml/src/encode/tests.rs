use super::*;

#[test]
fn floats_are_written_as_go_writes_them() {
    for (value, text) in [
        (5.0, "5"),
        (0.5, "0.5"),
        (1.1, "1.1"),
        (1e5, "100000"),
        (1e6, "1e+06"),
        (1_234_567.0, "1.234567e+06"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (1e100, "1e+100"),
        (-2.5, "-2.5"),
        (18_446_744_073_709_551_616.0, "1.8446744073709552e+19"),
        (f64::INFINITY, ".inf"),
        (f64::NEG_INFINITY, "-.inf"),
        (f64::NAN, ".nan"),
        (0.0, "0"),
    ] {
        assert_eq!(float(value), text);
    }
}

#[test]
fn keys_are_in_gos_order() {
    let text = |text: &str| Value::Text(text.into());
    let sorted = [
        Value::Null,
        Value::Int(-1),
        Value::Bool(true),
        Value::Float(2.5),
        Value::Int(10),
        text(""),
        text("10"),
        text("a"),
        text("a2"),
        text("a10"),
        text("ab"),
        text("b"),
    ];
    for pair in sorted.windows(2) {
        let [left, right] = pair else { continue };
        assert_eq!(order::compare(left, right), std::cmp::Ordering::Less, "{left:?} {right:?}");
    }
}
