//! The labels of a usual batch, which the benches of reading and of deciding have in common.

/// The six labels of the series with this number, twelve series a metric.
pub(crate) fn labels(index: u32) -> Vec<(String, String)> {
    let labels = [
        ("__name__", format!("http_server_requests_{}_total", index / 12)),
        ("cluster", "prod-eu-west-1".to_owned()),
        ("instance", format!("10.{}.{}.7:9090", index % 7, index % 251)),
        ("job", "api-server".to_owned()),
        ("namespace", "default".to_owned()),
        ("pod", format!("api-server-{:08x}", index.wrapping_mul(0x9e37_79b9))),
    ];
    labels.map(|(name, value)| (name.to_owned(), value)).to_vec()
}
