use super::*;

#[track_caller]
fn yaml(text: &str, expected: &str) {
    let flags = LimitFlags::parse(text).unwrap();
    assert_eq!(flags.to_yaml("", |_| Vec::new()), expected, "{text}");
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    assert_eq!(LimitFlags::parse(text).unwrap_err(), expected, "{text}");
}

#[test]
fn every_row_of_the_table_has_a_flag_a_field_and_a_kind_of_its_own() {
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
fn booleans_need_no_value_and_take_none_from_the_next_word() {
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
    refused(
        "-distributor.ingestion-rate-limit=fast",
        &["-distributor.ingestion-rate-limit is \"fast\": write a number such as 10000"],
    );
    refused(
        "--distributor.ingestion-burst-size=1e3 -distributor.ha-tracker.enable-for-all-users=yes",
        &[
            "-distributor.ingestion-burst-size is \"1e3\": write a whole number such as 200000",
            "-distributor.ha-tracker.enable-for-all-users is \"yes\": write true or false",
        ],
    );
    refused(
        "-distributor.request-rate-limit",
        &["-distributor.request-rate-limit has no value: write -distributor.request-rate-limit=VALUE"],
    );
}
