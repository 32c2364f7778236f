//! What the platform counts of itself, for Prometheus.

use std::collections::BTreeMap;

use crate::demo::tsuru::Tsuru;

/// The metrics in the Prometheus text format.
pub(in crate::demo::http) fn text(tsuru: &Tsuru) -> String {
    let counts = tsuru.counts();
    let mut lines = vec!["# TYPE tsuru_app_deploys_total counter".to_owned()];
    lines.extend(counts.deploys.iter().map(|((app, status, kind), count)| {
        let labels = format!("app=\"{app}\",status=\"{status}\",kind=\"{kind}\",platform=\"python\"");
        format!("tsuru_app_deploys_total{{{labels}}} {count}")
    }));
    let mut running: BTreeMap<&str, u32> = BTreeMap::new();
    for event in tsuru.events().filter(|e| e.ended.is_none()) {
        *running.entry(event.kind).or_default() += 1;
    }
    lines.push("# TYPE tsuru_events_current gauge".to_owned());
    lines.extend(
        running.iter().map(|(kind, count)| format!("tsuru_events_current{{kind=\"{kind}\"}} {count}")),
    );
    lines.push("# TYPE tsuru_events_rejected_total counter".to_owned());
    lines.extend(counts.rejected.iter().map(|((kind, reason), count)| {
        format!("tsuru_events_rejected_total{{kind=\"{kind}\",reason=\"{reason}\"}} {count}")
    }));
    lines.join("\n") + "\n"
}
