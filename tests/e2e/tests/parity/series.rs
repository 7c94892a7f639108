//! Series: labels that are valid, and labels that break one rule or several, at each limit and next to it.

use limits::TenantLimits;
use remote_write::encode::Series;

use super::datapoints::{self, Clock};
use crate::random::Random;

/// Becomes bytes that are no UTF-8 once the push is written; as long as they are.
pub(crate) const NO_UTF8: &str = "\u{10ffff}";

pub(crate) type Labels = Vec<(String, String)>;

const METRICS: [&str; 10] = [
    "up",
    "down",
    "http_requests_total",
    "job:rate5m",
    "target_info",
    "lat_bucket",
    "lat_sum",
    "lat_count",
    "tmp_x",
    "A_b",
];
const NAMES: [&str; 8] = ["job", "pod", "le", "instance", "a", "tmp_1", "z9_", "env"];
const VALUES: [&str; 8] = ["api", "web-7", "0.5", "up", "A", "ÄÖ", "x y", "+Inf"];

/// Who of a pair of Prometheus sends a series.
#[derive(Clone)]
pub(crate) struct Sender {
    cluster: Option<String>,
    replica: Option<String>,
}

impl Sender {
    /// Most often a whole pair, of few clusters; sometimes no pair, or one of the two labels.
    pub(crate) fn any(random: &mut Random) -> Self {
        let cluster = random.one(&["c1", "c1", "c1", "c2", "c3", ""]).to_owned();
        let replica = random.one(&["r0", "r0", "r1", "r2", "", "é"]).to_owned();
        match random.number(0, 19) {
            0 => Self { cluster: None, replica: None },
            1 => Self { cluster: Some(cluster), replica: None },
            2 => Self { cluster: None, replica: Some(replica) },
            _ => Self { cluster: Some(cluster), replica: Some(replica) },
        }
    }

    /// Whether both are of one cluster.
    pub(crate) fn rivals(&self, other: &Self) -> bool {
        self.cluster == other.cluster
    }

    fn label(&self, limits: &TenantLimits, labels: &mut Labels) {
        let names = [&limits.ha_cluster_label, &limits.ha_replica_label];
        for (name, value) in names.into_iter().zip([&self.cluster, &self.replica]) {
            labels.extend(value.as_ref().map(|value| (name.to_string(), value.clone())));
        }
    }
}

/// What the series of a push are drawn by.
pub(crate) struct Source<'a> {
    pub(crate) limits: &'a TenantLimits,
    pub(crate) clock: Clock,
    /// How often of a hundred a series breaks a rule.
    pub(crate) faults: u32,
}

impl Source<'_> {
    pub(crate) fn series(&self, random: &mut Random, sender: &Sender) -> Series {
        let mut labels = self.valid_labels(random);
        if self.limits.accept_ha_samples || random.percent(5) {
            sender.label(self.limits, &mut labels);
        }
        labels.sort();
        labels.dedup_by(|left, right| left.0 == right.0);
        let broken = random.percent(self.faults);
        let in_points = broken && random.percent(45);
        if broken && !in_points {
            for _ in 0..random.count(1, 2) {
                self.break_labels(random, &mut labels);
            }
        }
        let mut series = Series { labels, ..Series::default() };
        datapoints::fill(random, self.limits, self.clock, in_points, &mut series);
        series
    }

    fn valid_labels(&self, random: &mut Random) -> Labels {
        let room =
            usize::try_from(self.limits.max_label_names_per_series.min(self.limits.max_label_names_per_info_series))
                .unwrap_or(0);
        let metric = random.one(&METRICS).to_owned();
        let mut labels = vec![("__name__".to_owned(), metric)];
        let count = random.count(0, 4).min(room.saturating_sub(1));
        labels.extend((0..count).map(|_| (random.one(&NAMES).to_owned(), random.one(&VALUES).to_owned())));
        labels
    }

    /// Breaks one rule, or only just does not.
    fn break_labels(&self, random: &mut Random, labels: &mut Labels) {
        match random.number(0, 17) {
            0 => labels.retain(|(name, _)| name != "__name__"),
            1 => rename(labels, random.one(&["", "0up", "u p", "a.b", "üp", "up-1", "é\u{7f}", "__name__", "a:b:"])),
            2 => rename(labels, &format!("up{NO_UTF8}x")),
            3 => self.crowd(random, labels),
            4 => {
                rename(labels, "build_info");
                self.crowd(random, labels);
            }
            5 => labels.push((random.one(&["0a", "a-b", "a.b", "ü", "a b", ":a", "a:b", "__x__"]).into(), "v".into())),
            6 => labels.push((format!("n{NO_UTF8}"), "v".into())),
            7 => labels.push((long("n", random.around(self.limits.max_label_name_length)), "v".into())),
            8 => labels.push(("long".into(), long("v", random.around(self.limits.max_label_value_length)))),
            9 => labels.push(("long".into(), long("é", random.around(self.limits.max_label_value_length)))),
            10 => rename(labels, &long("m", random.around(self.limits.max_label_value_length))),
            11 => labels.push(("bad".into(), format!("v{NO_UTF8}"))),
            12 => repeat(random, labels),
            13 if random.percent(30) => labels.clear(),
            13 => labels.push((String::new(), random.one(&["", "v"]).into())),
            14 => labels.push((random.one(&["empty", "zz", "0bad"]).into(), String::new())),
            15 => labels.iter_mut().for_each(|(_, value)| value.clear()),
            16 => labels.push(("__name__".into(), random.one(&["up", "second", ""]).into())),
            _ => labels.reverse(),
        }
        if random.percent(75) {
            labels.sort_by(|left, right| left.0.cmp(&right.0));
        }
    }

    /// As many labels as are allowed, one fewer or one more.
    fn crowd(&self, random: &mut Random, labels: &mut Labels) {
        let limits = self.limits;
        let is_info = labels.iter().any(|(name, value)| name == "__name__" && value.ends_with("_info"));
        let limit = if is_info { limits.max_label_names_per_info_series } else { limits.max_label_names_per_series };
        let wanted = random.around(limit);
        labels.extend((labels.len()..wanted).map(|index| (format!("l{index:03}"), "v".to_owned())));
    }
}

fn rename(labels: &mut Labels, metric: &str) {
    for (name, value) in labels {
        if name == "__name__" {
            metric.clone_into(value);
        }
    }
}

fn repeat(random: &mut Random, labels: &mut Labels) {
    if !labels.is_empty() {
        let (name, value) = labels[random.count(0, labels.len() - 1)].clone();
        let value = random.of_values(&[value.as_str(), "other", ""]).to_owned();
        let at = random.count(0, labels.len());
        labels.insert(at, (name, value));
    }
}

/// So many bytes, or a few fewer where a character has several.
fn long(character: &str, bytes: usize) -> String {
    character.repeat(bytes / character.len())
}
