//! The schema: the fields and their kinds, from [`mimir-3.1.tsv`](../mimir-3.1.tsv).

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::scalar::{SCALARS, Scalar};

/// A mapping with fixed names: a Go struct.
#[derive(Debug, Default)]
pub(super) struct Object {
    /// Go's name of the type, for Mimir's errors.
    pub(super) go: &'static str,
    pub(super) fields: HashMap<&'static str, Kind>,
}

/// The kind of a value.
#[derive(Debug)]
pub(super) enum Kind {
    Scalar(&'static Scalar),
    Object(Object),
    /// A list; `go` is Go's name of its type.
    List {
        go: &'static str,
        item: Box<Kind>,
    },
    /// A mapping with any names: a Go map; `go` is Go's name of its type.
    Map {
        go: &'static str,
        value: Box<Kind>,
        of: MapOf,
    },
}

/// What the names of a map are, which decides on its rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MapOf {
    Anything,
    Tenants,
    /// Names of Alertmanager's integrations.
    Integrations,
    /// Trackers of active series, with their matchers.
    Trackers,
}

static ROOT: LazyLock<Object> = LazyLock::new(|| parse(include_str!("mimir-3.1.tsv")).unwrap_or_default());

static OTHER_RELEASES: LazyLock<HashSet<&'static str>> = LazyLock::new(|| lines(OTHER).collect());

const OTHER: &str = include_str!("other-releases.txt");

fn lines(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter(|line| !line.starts_with('#'))
}

/// The names of the limits of Mimir 2.0 to 3.1 and of its main branch.
pub(crate) fn limit_names() -> impl Iterator<Item = &'static str> {
    let others = OTHER.split_once("\n# ").map_or(OTHER, |(limits, _)| limits);
    limits().into_iter().flat_map(|limits| limits.fields.keys().copied()).chain(lines(others))
}

/// The whole document.
pub(super) fn root() -> &'static Object {
    &ROOT
}

/// The limits of a tenant, and of Mimir's `limits:` block.
pub(super) fn limits() -> Option<&'static Object> {
    match ROOT.fields.get("overrides")? {
        Kind::Map { value, of: MapOf::Tenants, .. } => match &**value {
            Kind::Object(limits) => Some(limits),
            _ => None,
        },
        _ => None,
    }
}

/// Whether this is a limit of another release, or a setting of Mimir that is no limit.
pub(super) fn is_of_another_release(name: &str) -> bool {
    OTHER_RELEASES.contains(name)
}

struct Row {
    path: &'static str,
    kind: &'static str,
    go: &'static str,
    item_go: &'static str,
}

fn parse(table: &'static str) -> Option<Object> {
    let rows: Vec<_> = lines(table).map(row).collect::<Option<_>>()?;
    let root = rows.iter().find(|row| row.path == ".")?;
    object(&rows, "", root.go)
}

fn row(line: &'static str) -> Option<Row> {
    let mut columns = line.split('\t');
    let (path, kind) = (columns.next()?, columns.next()?);
    Some(Row { path, kind, go: columns.next().unwrap_or_default(), item_go: columns.next().unwrap_or_default() })
}

/// The object whose fields' paths begin with `prefix`.
fn object(rows: &[Row], prefix: &str, go: &'static str) -> Option<Object> {
    let own = rows.iter().filter_map(|row| {
        let name = row.path.strip_prefix(prefix)?;
        (!name.is_empty() && !name.contains(['.', '[', '{'])).then_some((name, row))
    });
    let fields = own.map(|(name, row)| Some((name, kind(rows, row)?))).collect::<Option<_>>()?;
    Some(Object { go, fields })
}

fn kind(rows: &[Row], row: &Row) -> Option<Kind> {
    let nested = |suffix, go| Some(Kind::Object(object(rows, &format!("{}{suffix}", row.path), go)?));
    let map = |go, value, of| Some(Kind::Map { go, value: Box::new(value), of });
    let list = |go, item| Some(Kind::List { go, item: Box::new(item) });
    let scalar = |name| SCALARS.iter().find(|scalar| scalar.name == name).map(Kind::Scalar);
    match row.kind {
        "object" => nested(".", row.go),
        "list_of_object" => list(row.go, nested("[].", row.item_go)?),
        "map_of_object" => map(row.go, nested("{}.", row.item_go)?, MapOf::Anything),
        "map_of_limits" => map(row.go, nested("{}.", row.item_go)?, MapOf::Tenants),
        "list_of_string" => list("flagext.StringSlice", scalar("string")?),
        "list_of_label_name" => list("model.LabelNames", scalar("label_name")?),
        "map_of_int" => map("map[string]int", scalar("int")?, MapOf::Anything),
        "map_of_float64" => map("map[string]float64", scalar("float64")?, MapOf::Integrations),
        "map_of_string" => map("map[string]string", scalar("string")?, MapOf::Anything),
        "custom_trackers" => map("map[string]string", scalar("string")?, MapOf::Trackers),
        name => scalar(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_field() {
        let lines = lines(include_str!("mimir-3.1.tsv")).count();
        assert_eq!(count(&parse(include_str!("mimir-3.1.tsv")).expect("a table")), lines - 1);
        assert_eq!(limits().map(|limits| (limits.go, limits.fields.len())), Some(("validation.plainLimits", 150)));
    }

    fn count(object: &Object) -> usize {
        object.fields.len() + object.fields.values().map(nested).sum::<usize>()
    }

    fn nested(kind: &Kind) -> usize {
        match kind {
            Kind::Scalar(_) => 0,
            Kind::Object(object) => count(object),
            Kind::List { item, .. } => nested(item),
            Kind::Map { value, .. } => nested(value),
        }
    }

    #[test]
    fn no_limit_is_of_another_release() {
        let limits = limits().expect("limits");
        assert!(OTHER_RELEASES.iter().all(|name| !limits.fields.contains_key(name)));
        assert!(is_of_another_release("max_samples_per_query") && !is_of_another_release("ingestion_rate"));
    }

    #[test]
    fn every_field_is_a_limit_of_some_release() {
        let limits = limits().expect("limits");
        for field in crate::model::FIELDS {
            assert!(limits.fields.contains_key(field.name) || is_of_another_release(field.name), "{}", field.name);
        }
    }
}
