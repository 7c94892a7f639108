use super::*;

#[track_caller]
fn yaml(text: &str, expected: &str) {
    let flags = LimitFlags::parse(text).unwrap();
    assert_eq!(flags.to_yaml("", |_| Vec::new()), expected, "{text}");
}

#[track_caller]
fn rejected(text: &str, expected: &[&str]) {
    assert_eq!(LimitFlags::parse(text).unwrap_err(), expected, "{text}");
}

#[test]
fn every_row_of_the_flag_table_is_complete_and_unique() {
    let rows: Vec<Vec<_>> = TABLE.lines().map(|line| line.split('\t').collect()).collect();
    assert!(rows.len() > 130, "{}", rows.len());
    for row in &rows {
        assert!(matches!(row[..], [_, _, "bool" | "int" | "uint" | "float" | "text" | "list"]), "{row:?}");
        let same = rows.iter().filter(|other| other[0] == row[0] || other[1] == row[1]).count();
        assert_eq!(same, 1, "{row:?}");
    }
}

#[test]
fn all_spellings_of_go_set_the_field() {
    for spelling in [
        "-distributor.ingestion-rate-limit=5",
        "--distributor.ingestion-rate-limit=5",
        "-distributor.ingestion-rate-limit 5",
    ] {
        yaml(spelling, "ingestion_rate: 5.0\n");
    }
    yaml("-distributor.ingestion-burst-size 0x10", "ingestion_burst_size: 16\n");
    yaml("-distributor.ha-tracker.cluster=", "ha_cluster_label: \"\"\n");
    yaml("-validation.create-grace-period=1h30m", "creation_grace_period: \"1h30m\"\n");
}

#[test]
fn a_boolean_flag_takes_no_value_from_the_next_argument() {
    yaml("-distributor.ha-tracker.enable-for-all-users", "accept_ha_samples: true\n");
    yaml("-distributor.ha-tracker.enable-for-all-users=F", "accept_ha_samples: false\n");
    yaml("-distributor.ha-tracker.enable-for-all-users false", "accept_ha_samples: true\n");
}

#[test]
fn the_last_use_of_a_flag_holds_and_lists_grow() {
    yaml("-distributor.request-rate-limit=1 -distributor.request-rate-limit=2", "request_rate: 2.0\n");
    let flags = LimitFlags::parse("-distributor.drop-label=a,b -distributor.drop-label c").unwrap();
    assert_eq!(flags.to_yaml("  ", |_| vec!["z".to_owned()]), "  drop_labels: [\"z\", \"a,b\", \"c\"]\n");
}

#[test]
fn flags_of_anything_else_are_passed_over() {
    let other =
        "mimir -target=all -server.http-listen-port 8080 -usage-stats.enabled=false -memberlist.join a -log.level=warn";
    yaml(other, "");
    yaml(&format!("{other} -distributor.request-burst-size=7 {other}"), "request_burst_size: 7\n");
}

#[test]
fn a_bad_value_names_flag_and_fix() {
    rejected(
        "-distributor.ingestion-rate-limit=fast",
        &["-distributor.ingestion-rate-limit is \"fast\": write a number such as 10000"],
    );
    rejected(
        "--distributor.ingestion-burst-size=1e3 -distributor.ha-tracker.enable-for-all-users=yes",
        &[
            "-distributor.ingestion-burst-size is \"1e3\": write a whole number such as 200000",
            "-distributor.ha-tracker.enable-for-all-users is \"yes\": write true or false",
        ],
    );
    rejected(
        "-distributor.request-rate-limit",
        &["-distributor.request-rate-limit has no value: write -distributor.request-rate-limit=VALUE"],
    );
}

#[test]
fn whole_numbers_are_gos() {
    for (text, expected) in [
        ("500", Some(500)),
        ("-5", Some(-5)),
        ("+5", Some(5)),
        ("0", Some(0)),
        ("010", Some(8)),
        ("0x1F", Some(31)),
        ("0X_1f", Some(31)),
        ("0b11", Some(3)),
        ("0o17", Some(15)),
        ("1_000", Some(1000)),
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("089", None),
        ("1__0", None),
        ("_1", None),
        ("1_", None),
        ("--5", None),
        ("0x", None),
        ("1e3", None),
        ("1.0", None),
        ("", None),
        (" 1", None),
    ] {
        assert_eq!(parse_int(text), expected, "{text}");
    }
}

#[test]
fn floats_are_gos_and_spelled_for_yaml() {
    for (text, expected) in [
        ("500000", Some("500000.0")),
        ("1e6", Some("1000000.0")),
        ("2.5", Some("2.5e0")),
        (".5", Some("5e-1")),
        ("-1", Some("-1.0")),
        ("+Inf", Some(".inf")),
        ("-inf", Some("-.inf")),
        ("NaN", Some(".nan")),
        ("1.7976931348623157e308", Some("1.7976931348623157e308")),
        ("1e400", None),
        ("fast", None),
        ("10k", None),
        ("", None),
    ] {
        assert_eq!(parse_float(text).as_deref(), expected, "{text}");
    }
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(split_words(text).unwrap(), expected, "{text}");
}

#[test]
fn words_are_those_of_a_shell() {
    check("", &[]);
    check("  -a=1\t-b 2\n-c\r\n", &["-a=1", "-b", "2", "-c"]);
    check("-a='x y' \"-b=z \\\" w\" -c=", &["-a=x y", "-b=z \" w", "-c="]);
    check("-a='' ''", &["-a=", ""]);
    check("-a=1 \\\n-b=2 \\", &["-a=1", "-b=2"]);
    check("# all of it\n-a=1 # one\n-b=#2", &["-a=1", "-b=#2"]);
    check("-a=\\ b", &["-a= b"]);
}

#[test]
fn a_quote_without_an_end_is_an_error() {
    assert!(split_words("-a='b").unwrap_err().contains("never closed"));
    assert!(split_words("-a=\"b").unwrap_err().contains("never closed"));
}
