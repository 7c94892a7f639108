//! What Mimir shows of a runtime configuration in force: YAML of its own making, read by a parser that is not the edge's.

use std::collections::BTreeMap;

use libyaml_safer::{Document, NodeData, Parser};

use super::verdict::{FIELDS, Values, rate};

/// Reads `/runtime_config?mode=diff`: the tenants, with what differs from Mimir's defaults.
pub(crate) fn tenants(page: &str) -> BTreeMap<String, Values> {
    let mut parser = Parser::new();
    let mut input = page.as_bytes();
    parser.set_input_string(&mut input);
    let document = Document::load(&mut parser).unwrap_or_else(|error| panic!("Mimir shows no YAML: {error}\n{page}"));
    let shown = Shown(&document);
    let mut tenants = BTreeMap::new();
    for (name, overrides) in shown.entries(1) {
        if name == "overrides" {
            for (tenant, limits) in shown.entries(overrides) {
                tenants.insert(tenant, shown.values(limits));
            }
        }
    }
    tenants
}

struct Shown<'d>(&'d Document);

impl Shown<'_> {
    fn entries(&self, map: i32) -> Vec<(String, i32)> {
        match self.0.get_node(map).map(|node| &node.data) {
            Some(NodeData::Mapping { pairs, .. }) => {
                pairs.iter().map(|pair| (self.text(pair.key).unwrap_or_default(), pair.value)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn text(&self, node: i32) -> Option<String> {
        match &self.0.get_node(node)?.data {
            NodeData::Scalar { value, .. } => Some(value.clone()),
            _ => None,
        }
    }

    /// The values of one tenant, Mimir's defaults where nothing is shown.
    fn values(&self, limits: i32) -> Values {
        let mut values = ["10000", "200000", "0", "0", "30"].map(str::to_owned);
        for (name, value) in self.entries(limits) {
            if let (Some(place), Some(text)) = (FIELDS.iter().position(|field| *field == name), self.text(value)) {
                values[place] = if name.ends_with("_rate") { rate(number(&text)) } else { text };
            }
        }
        values
    }
}

fn number(text: &str) -> f64 {
    match text {
        ".inf" | "+.inf" => f64::INFINITY,
        "-.inf" => f64::NEG_INFINITY,
        ".nan" => f64::NAN,
        other => other.parse().unwrap_or_else(|error| panic!("Mimir shows the rate {other:?}: {error}")),
    }
}
