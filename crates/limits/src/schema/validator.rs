//! Validates a document in the order in which Mimir decodes it: mappings by their names, lists by their items, then the rules.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use go_yaml::{Content, Entry, Node, Position};

use super::names;
use super::rules::{RuleSettings, Violation};
use super::scalar::{self, REGEXP, wrong_type};
use super::table::{Kind, MapOf, Object};
use super::{Fault, Issue, MimirError, Validation, go, matchers};
use crate::code::Code;
use crate::defaults::MimirSettings;
use crate::problem::Severity;
use crate::value::{as_text, is_null, quote, shortened};

/// The most trackers of active series in one map.
const MAX_TRACKERS: usize = 65_535;

/// Alertmanager's integrations, which have a notification limit.
const INTEGRATIONS: [&str; 14] = [
    "webhook",
    "email",
    "pagerduty",
    "opsgenie",
    "wechat",
    "slack",
    "victorops",
    "pushover",
    "sns",
    "webex",
    "telegram",
    "discord",
    "msteams",
    "msteamsv2",
];

/// An expensive check, which is made once for equal values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum CostlyCheck {
    Regexp,
    Matchers,
}

pub(super) struct Validator<'c> {
    mimir: &'c MimirSettings,
    tenant: Option<Rc<str>>,
    /// The current path in the document, or in a tenant's entry: `blocked_queries[1].pattern`.
    path: String,
    /// Valid expressions and matchers, which tenants often share.
    valid: HashSet<(CostlyCheck, Rc<str>)>,
    /// How many of the faults reject the document.
    rejections: usize,
    found: Validation,
}

impl<'c> Validator<'c> {
    pub(super) fn new(mimir: &'c MimirSettings) -> Self {
        let (tenant, path, valid, found) = (None, String::new(), HashSet::new(), Validation::default());
        Validator { mimir, tenant, path, valid, rejections: 0, found }
    }

    pub(super) fn finish(self) -> Validation {
        self.found
    }

    /// Validates the whole document.
    pub(super) fn root(&mut self, root: &'static Object, node: &Node) {
        if !is_null(node) {
            self.object(root, node, &mut |_| {});
        }
    }

    /// Validates the limits of one tenant, or Mimir's own, which are laid over `settings`; returns the result of that.
    pub(super) fn limits(
        &mut self,
        limits: &'static Object,
        settings: RuleSettings,
        node: &Node,
        position: Position,
    ) -> RuleSettings {
        let before = self.rejections;
        let mut settings = settings;
        let mut positions = HashMap::new();
        self.object(limits, node, &mut |entry| {
            settings.set(&entry.key, &entry.value);
            positions.insert(entry.key.clone(), entry.position);
        });
        if self.rejections == before {
            for Violation { field, issue, position: of_item } in
                settings.violations(self.mimir.defaults.query_store_after)
            {
                // Without the field in the entry, Mimir's own limits break the rule.
                let position = match positions.get(field) {
                    Some(own) => of_item.unwrap_or(*own),
                    None => position,
                };
                self.path.push_str(field);
                self.fault(position, self.with_tenant(issue));
                self.path.clear();
            }
        }
        settings
    }

    /// In errors that it finds after decoding, Mimir names the tenant.
    fn with_tenant(&self, issue: Issue) -> Issue {
        let mimir = match (issue.mimir, &self.tenant) {
            (Some(MimirError::Validation(error)), Some(tenant)) => {
                Some(MimirError::Validation(format!("tenant {}: {error}", go::quote(tenant))))
            }
            (error, _) => error,
        };
        Issue { mimir, ..issue }
    }

    fn value(&mut self, kind: &'static Kind, node: &Node) -> bool {
        if is_null(node) {
            return true;
        }
        match kind {
            Kind::Object(object) => self.object(object, node, &mut |_| {}),
            Kind::List { go, item } => self.list(go, item, node),
            Kind::Map { go, value, of } => self.map(go, value, *of, node),
            Kind::Scalar(kind) => {
                let is_unique = match &node.content {
                    Content::Mapping(entries) => self.is_unique(entries, Code::DuplicateKey),
                    _ => true,
                };
                is_unique
                    && match kind.name {
                        REGEXP => self.check_once(CostlyCheck::Regexp, node, || scalar::check(kind, node)),
                        _ => self.record(node.position, scalar::check(kind, node)),
                    }
            }
        }
    }

    /// Makes an expensive check, unless an equal value was valid before.
    fn check_once(&mut self, costly: CostlyCheck, node: &Node, check: impl FnOnce() -> Result<(), Issue>) -> bool {
        let Content::Scalar(scalar) = &node.content else { return self.record(node.position, check()) };
        let known = (costly, Rc::clone(&scalar.text));
        if self.valid.contains(&known) {
            return true;
        }
        let is_valid = self.record(node.position, check());
        self.valid.extend(is_valid.then_some(known));
        is_valid
    }

    fn record(&mut self, position: Position, outcome: Result<(), Issue>) -> bool {
        match outcome {
            Ok(()) => true,
            Err(issue) => {
                self.fault(position, issue);
                false
            }
        }
    }

    /// The entries of a mapping without duplicates; otherwise `None`, with a fault.
    fn entries<'n>(&mut self, node: &'n Node, go: &str, wanted: &str, duplicate: Code) -> Option<&'n [Entry]> {
        match &node.content {
            Content::Mapping(entries) => self.is_unique(entries, duplicate).then_some(entries),
            _ => {
                self.fault(node.position, wrong_type(node, go, wanted));
                None
            }
        }
    }

    /// Validates a mapping with fixed names. Calls `seen` with each valid field.
    fn object(&mut self, object: &'static Object, node: &Node, seen: &mut dyn FnMut(&Entry)) -> bool {
        let entries = self.entries(node, object.go, "a mapping of fields with their values", Code::DuplicateKey);
        let Some(entries) = entries else { return false };
        for entry in entries.iter().filter(|entry| !entry.is_null) {
            let length = self.push_path(&entry.key);
            match object.fields.get(&*entry.key) {
                Some(kind) if self.value(kind, &entry.value) => seen(entry),
                Some(_) => {}
                None => self.unknown(object, entry),
            }
            self.path.truncate(length);
        }
        true
    }

    fn list(&mut self, go: &'static str, item: &'static Kind, node: &Node) -> bool {
        let items = match &node.content {
            Content::Sequence(items) => items,
            Content::Mapping(entries) if !self.is_unique(entries, Code::DuplicateKey) => return false,
            _ => {
                let wanted = match item {
                    Kind::Scalar(_) => "a list such as [pod, node]",
                    _ => "a list of mappings",
                };
                self.fault(node.position, wrong_type(node, go, wanted));
                return false;
            }
        };
        let mut all_valid = true;
        for (index, node) in items.iter().enumerate() {
            let length = self.path.len();
            self.path.push_str(&format!("[{index}]"));
            all_valid &= self.value(item, node);
            self.path.truncate(length);
        }
        all_valid
    }

    fn map(&mut self, go: &'static str, value: &'static Kind, of: MapOf, node: &Node) -> bool {
        let (wanted, duplicate) = match of {
            MapOf::Tenants => ("a mapping of tenants with their limits", Code::DuplicateTenant),
            MapOf::Trackers => ("a mapping of trackers with their matchers", Code::DuplicateKey),
            _ => ("a mapping of names with their values", Code::DuplicateKey),
        };
        let Some(entries) = self.entries(node, go, wanted, duplicate) else { return false };
        let entries = || entries.iter().filter(|entry| !entry.is_null);
        let mut all_valid = true;
        for entry in entries() {
            all_valid &= match (of, value) {
                (MapOf::Tenants, Kind::Object(limits)) => self.tenant(limits, entry),
                _ => self.descend(&entry.key, |validator| validator.value(value, &entry.value)),
            };
        }
        // Mimir checks the rules once all values have their types.
        if !all_valid || !self.record(node.position, check_tracker_count(of, entries().count())) {
            return false;
        }
        for entry in entries() {
            all_valid &= self.descend(&entry.key, |validator| validator.map_entry(of, entry));
        }
        all_valid
    }

    fn map_entry(&mut self, of: MapOf, entry: &Entry) -> bool {
        match of {
            MapOf::Integrations if !INTEGRATIONS.contains(&&*entry.key) => {
                let name = &entry.key;
                let issue = Issue {
                    code: Code::BadValue,
                    predicate: format!("has an unknown name: write one of {}", INTEGRATIONS.join(", ")),
                    mimir: Some(MimirError::Fatal(format!("unknown integration name: {name}"))),
                };
                self.record(entry.position, Err(issue))
            }
            MapOf::Trackers => {
                is_null(&entry.value)
                    || self.check_once(CostlyCheck::Matchers, &entry.value, || {
                        let text = as_text(&entry.value).unwrap_or_default();
                        matchers::check(&entry.key, text)
                    })
            }
            _ => true,
        }
    }

    fn descend<T>(&mut self, name: &str, look: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.push_path(name);
        let outcome = look(self);
        self.path.truncate(length);
        outcome
    }

    /// Appends a name to the path; returns the previous length.
    fn push_path(&mut self, name: &str) -> usize {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(&shortened(name));
        length
    }

    fn tenant(&mut self, limits: &'static Object, Entry { key, value, position, .. }: &Entry) -> bool {
        if !is_null(value) {
            let path = std::mem::take(&mut self.path);
            self.tenant = Some(Rc::clone(key));
            self.limits(limits, self.mimir.defaults.rules.of_entry(), value, *position);
            self.tenant = None;
            self.path = path;
        }
        true
    }

    /// Whether no key occurs twice. Mimir decodes nothing of a mapping with duplicate keys.
    fn is_unique(&mut self, entries: &[Entry], code: Code) -> bool {
        let distinct: HashSet<&str> = entries.iter().map(|entry| &*entry.key).collect();
        if distinct.len() == entries.len() {
            return true;
        }
        let mut same: HashMap<&str, VecDeque<&Entry>> = HashMap::new();
        for entry in entries {
            same.entry(&entry.key).or_default().push_back(entry);
        }
        for first in entries {
            let Some(others) = same.get_mut(&*first.key) else { continue };
            others.pop_front();
            for other in others.iter() {
                if self.found.is_full() {
                    return false;
                }
                self.duplicate(first, other, code);
            }
        }
        false
    }

    fn duplicate(&mut self, first: &Entry, other: &Entry, code: Code) {
        let thing = if code == Code::DuplicateTenant { "tenant" } else { "key" };
        let (name, line) = (quote(&shortened(&other.key)), first.position.line);
        let message = format!("{thing} {name} is there already, at line {line}: remove one of them");
        let (own, before) = (go::line(other.position), go::line(first.position));
        let mimir = format!("line {own}: mapping key {} already defined at line {before}", go::quote(&other.key));
        self.add_fault(other.position, code, Severity::Rejected, message, Some(MimirError::Collected(mimir)));
    }

    fn unknown(&mut self, object: &Object, entry: &Entry) {
        let names::Unknown { code, severity, message } =
            names::unknown(&entry.key, &self.path, object, &self.mimir.version);
        let line = go::line(entry.position);
        let mimir = format!("line {line}: field {} not found in type {}", entry.key, object.go);
        let mimir = (severity == Severity::Rejected).then_some(MimirError::Collected(mimir));
        self.add_fault(entry.position, code, severity, message, mimir);
    }

    fn fault(&mut self, position: Position, issue: Issue) {
        let Issue { code, predicate, mimir } = issue;
        let thing = if self.path.is_empty() { "the entry".to_owned() } else { format!("field {}", self.path) };
        self.add_fault(position, code, Severity::Rejected, format!("{thing} {predicate}"), mimir);
    }

    fn add_fault(
        &mut self,
        position: Position,
        code: Code,
        severity: Severity,
        message: String,
        mimir: Option<MimirError>,
    ) {
        self.rejections += usize::from(severity == Severity::Rejected);
        let field = (!self.path.is_empty()).then(|| self.path.clone());
        let tenant = self.tenant.clone();
        self.found.add(Fault { position, tenant, field, code, severity, message, mimir });
    }
}

fn check_tracker_count(of: MapOf, count: usize) -> Result<(), Issue> {
    if of != MapOf::Trackers || count <= MAX_TRACKERS {
        return Ok(());
    }
    let go = format!("the number of trackers set [{count}] exceeds the maximum number of trackers [{MAX_TRACKERS}]");
    let predicate = format!("has {count} trackers: write at most {MAX_TRACKERS}");
    Err(Issue { code: Code::BadValue, predicate, mimir: Some(MimirError::Fatal(go)) })
}
