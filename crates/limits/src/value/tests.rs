use super::*;
use crate::yaml::parse;
use proptest::prelude::*;

fn node(text: &str) -> Rc<Node> {
    parse(text).expect("YAML").root.expect("a node")
}

#[track_caller]
fn reads<T: FieldValue>(mut value: T, text: &str, rendered: &str) {
    value.read(&node(text)).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    assert_eq!(value.render(), rendered, "{text}");
}

#[track_caller]
fn rejects<T: FieldValue>(mut value: T, text: &str) {
    let before = value.render();
    value.read(&node(text)).expect_err(text);
    assert_eq!(value.render(), before, "an error changes nothing");
}

#[test]
fn whole_numbers_end_where_gos_end() {
    reads(0_i64, "9223372036854775807", "9223372036854775807");
    reads(0_i64, "-9223372036854775808", "-9223372036854775808");
    reads(0_i64, "-9.223372036854775808e18", "-9223372036854775808");
    rejects(0_i64, "9223372036854775808");
    // What Go makes of these depends on the machine.
    reads(0_i64, "9.223372036854775808e18", "-9223372036854775808");
    reads(0_i64, "-.inf", "-9223372036854775808");
    rejects(0_i64, "1e+21");
    rejects(0_i64, ".nan");
}

#[test]
fn null_leaves_a_scalar_and_empties_a_list() {
    reads(7_i64, "~", "7");
    reads(7.5_f64, "null", "7.5");
    reads(true, "~", "true");
    reads(Arc::<str>::from("dc"), "~", "\"dc\"");
    reads(Duration::from_secs(5), "~", "5s");
    reads(NameScheme::Utf8, "~", "utf8");
    reads(LabelValueStrategy::Drop, "~", "drop");
    reads(Arc::<[Arc<str>]>::from([Arc::from("pod")]), "~", "[]");
}

#[test]
fn texts_take_numbers_and_bools_as_spelled() {
    reads(Arc::<str>::from(""), "010", "\"010\"");
    reads(Arc::<str>::from(""), "true", "\"true\"");
    reads(Arc::<[Arc<str>]>::default(), "[1.50, yes, ~, '~']", "[\"1.50\", \"yes\", \"~\"]");
    rejects(Arc::<str>::from(""), "[a]");
    rejects(Arc::<[Arc<str>]>::default(), "[[a]]");
}

#[test]
fn an_empty_scheme_changes_nothing() {
    reads(NameScheme::Utf8, "''", "utf8");
    rejects(NameScheme::Legacy, "UTF8");
    reads(LabelValueStrategy::Drop, "''", "error");
}

#[test]
fn a_bool_is_no_number_and_a_number_no_bool() {
    rejects(0.0_f64, "true");
    rejects(true, "0");
    rejects(true, "yEs");
    reads(false, "Yes", "true");
    reads(true, "'OFF'", "false");
    rejects(0.0_f64, "{a: 1}");
}

#[test]
fn nan_is_the_same_as_nan() {
    assert!(f64::NAN.same(&f64::NAN));
    assert!(!f64::NAN.same(&0.0));
}

#[test]
fn long_values_are_shortened() {
    assert_eq!(shortened(&"ä".repeat(61)), format!("{}…", "ä".repeat(60)));
    assert_eq!(shortened("short"), "short");
}

proptest! {
    #[test]
    fn a_float_reads_back_from_its_rendering(value in any::<f64>()) {
        let mut read = 0.0_f64;
        read.read(&node(&value.render())).expect("a number");
        prop_assert!(read.same(&value), "{} became {}", value.render(), read);
    }

    #[test]
    fn a_text_reads_back_from_its_rendering(value in "\\PC{0,20}|[\\x00-\\x7f]{0,10}") {
        let value = Arc::<str>::from(value);
        let mut read = Arc::<str>::from("-");
        read.read(&node(&value.render())).expect("a text");
        prop_assert_eq!(read, value);
    }
}
