use super::*;
use proptest::prelude::*;

#[track_caller]
fn accepts(header: &[u8], id: &str, key: &str) {
    let tenant = Tenant::parse(Some(header)).expect("a tenant");
    assert_eq!((tenant.id(), tenant.limits_key()), (id, key));
    assert_eq!(tenant.has_metadata(), id != key);
    assert!(!tenant.has_invalid_suffix());
}

#[track_caller]
fn takes_for_bare(header: &[u8], id: &str) {
    let tenant = Tenant::parse(Some(header)).expect("a tenant");
    assert_eq!((tenant.id(), tenant.limits_key()), (id, id));
    assert!(tenant.has_invalid_suffix(), "{}", header.escape_ascii());
}

#[track_caller]
fn rejects(header: &[u8], text: &str) {
    assert_eq!(Tenant::parse(Some(header)).expect_err("a fault").to_string(), text);
}

#[test]
fn a_missing_or_empty_header_is_no_org_id() {
    assert_eq!(Tenant::parse(None), Err(TenantError::Missing));
    rejects(b"", "no org id");
}

#[test]
fn takes_every_spelling_of_one_tenant() {
    accepts(b"team-a", "team-a", "team-a");
    accepts(b"A!-_.*'()z", "A!-_.*'()z", "A!-_.*'()z");
    accepts(b"dup|dup", "dup", "dup");
    accepts(b"dup|dup|dup", "dup", "dup");
    accepts(b"...", "...", "...");
    let longest = "x".repeat(MAX_TENANT_BYTES);
    accepts(longest.as_bytes(), &longest, &longest);
}

#[test]
fn names_the_first_unsupported_byte_as_latin_1() {
    rejects(b"a/b", "tenant ID 'a/b' contains unsupported character '/'");
    rejects(b"a b", "tenant ID 'a b' contains unsupported character ' '");
    rejects(b"a#b", "tenant ID 'a#b' contains unsupported character '#'");
    rejects(b"a,b", "tenant ID 'a,b' contains unsupported character ','");
    rejects("ten\u{e4}nt".as_bytes(), "tenant ID 'ten\u{e4}nt' contains unsupported character '\u{c3}'");
    rejects(b"a\xff", "tenant ID 'a\u{fffd}' contains unsupported character '\u{ff}'");
}

#[test]
fn checks_characters_before_length_before_dots() {
    let long = "y".repeat(MAX_TENANT_BYTES + 1);
    rejects(long.as_bytes(), "tenant ID is too long: max 150 characters");
    rejects(format!("%{long}").as_bytes(), &format!("tenant ID '%{long}' contains unsupported character '%'"));
    rejects(b".", "tenant ID is '.' or '..'");
    rejects(b"..", "tenant ID is '.' or '..'");
}

#[test]
fn several_tenants_are_too_many_and_counted_once_each() {
    rejects(b"team-a|team-b", "too many tenant IDs present in the request. max: 1 actual: 2");
    rejects(b"c|a|b", "too many tenant IDs present in the request. max: 1 actual: 3");
    rejects(b"b|a|b|a", "too many tenant IDs present in the request. max: 1 actual: 2");
    rejects(b"abc|", "too many tenant IDs present in the request. max: 1 actual: 2");
    rejects(b"|abc", "too many tenant IDs present in the request. max: 1 actual: 2");
    rejects(b"a:k=v|b:k=v", "too many tenant IDs present in the request. max: 1 actual: 2");
}

#[test]
fn every_part_is_checked_before_they_are_counted() {
    rejects(b"a|b|..", "tenant ID is '.' or '..'");
    rejects(b"a|b/c", "tenant ID 'b/c' contains unsupported character '/'");
}

#[test]
fn empty_parts_are_the_tenant_with_the_empty_name() {
    accepts(b"|", "", "");
    accepts(b"||", "", "");
    accepts(b":k=v", "", ":k=v");
}

#[test]
fn metadata_gives_a_limits_key_of_its_own() {
    accepts(b"team:product=x", "team", "team:product=x");
    accepts(b"a:k=v:k2=v2", "a", "a:k=v:k2=v2");
    accepts(b"a:k=v|a:k=v", "a", "a:k=v");
    accepts(b"a:k=", "a", "a:k=");
    accepts(b"a:=v", "a", "a:=v");
    accepts(b"a:k=v=w", "a", "a:k=v=w");
    let longest = format!("a:k={}", "v".repeat(MAX_METADATA_BYTES - 3));
    accepts(longest.as_bytes(), "a", &longest);
}

#[test]
fn malformed_metadata_gives_the_bare_tenant() {
    for header in [&b"a:x"[..], b"a:", b"a:k=v:", b"a:k=v:k=w", b"a:z=1:b=2", b"a:k=v/w", b"a:k=\xe4"] {
        takes_for_bare(header, "a");
    }
    takes_for_bare(format!("a:k={}", "v".repeat(MAX_METADATA_BYTES - 2)).as_bytes(), "a");
}

#[test]
fn parts_that_differ_in_metadata_give_the_bare_tenant() {
    for header in [&b"a:k=v|a"[..], b"a|a:k=v", b"a:k=v|a:k=w", b"a:|a"] {
        takes_for_bare(header, "a");
    }
}

#[test]
fn an_owned_key_is_found_by_its_text() {
    let map = std::collections::HashMap::from([(TenantId::from("a:k=v"), 1)]);
    assert_eq!(map.get("a:k=v"), Some(&1));
    assert_eq!(TenantId::from("a").to_string(), "a");
}

proptest! {
    #[test]
    fn any_bytes_give_a_legal_tenant_or_a_text(header in proptest::collection::vec(any::<u8>(), 0..200)) {
        legal_or_text(&header)?;
    }

    #[test]
    fn likely_bytes_give_a_legal_tenant_or_a_text(header in "[ab.]{0,3}([|:=][abk.]{0,3}){0,5}") {
        legal_or_text(header.as_bytes())?;
    }
}

fn legal_or_text(header: &[u8]) -> Result<(), TestCaseError> {
    match Tenant::parse(Some(header)) {
        Ok(tenant) => {
            let id = tenant.id();
            prop_assert!(id.bytes().all(is_id_byte) && id.len() <= MAX_TENANT_BYTES && id != "." && id != "..");
            prop_assert!(tenant.limits_key().starts_with(id));
            prop_assert!(header.starts_with(tenant.limits_key().as_bytes()));
            if !id.is_empty() {
                let again = Tenant::parse(Some(tenant.limits_key().as_bytes()));
                prop_assert_eq!(again, Ok(Tenant { has_invalid_suffix: false, ..tenant }));
            }
        }
        Err(error) => prop_assert!(!error.to_string().is_empty() && !error.to_string().ends_with('\n')),
    }
    Ok(())
}
