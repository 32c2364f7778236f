//! The closing table: each promise with what was measured.

/// What was promised and what came out, in the order of the tables.
#[derive(Debug, Default)]
pub(super) struct Promises {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    promise: String,
    measured: String,
    limit: String,
    kept: bool,
}

/// A figure with its 95 % interval; an end that is not known is infinite.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figure {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Promises {
    /// A figure that must not be larger than `limit`. `what` says where the worst case was.
    pub(super) fn at_most(&mut self, promise: &str, figure: Figure, limit: f64, unit: &str, what: &str) {
        self.add(promise, figure, ("≤", limit), unit, what, figure.value <= limit);
    }

    /// A figure that must not be smaller than `limit`.
    pub(super) fn at_least(&mut self, promise: &str, figure: Figure, limit: f64, unit: &str, what: &str) {
        self.add(promise, figure, ("≥", limit), unit, what, figure.value >= limit);
    }

    fn add(
        &mut self,
        promise: &str,
        Figure { value, low, high }: Figure,
        (sign, limit): (&str, f64),
        unit: &str,
        what: &str,
        kept: bool,
    ) {
        let place = if what.is_empty() { String::new() } else { format!("{what}: ") };
        self.lines.push(Line {
            promise: promise.to_owned(),
            measured: format!("{place}{}{unit} ({}–{})", number(value), number(low), number(high)),
            limit: format!("{sign} {}{unit}", number(limit)),
            kept,
        });
    }

    pub(super) fn print(&self) {
        if self.lines.is_empty() {
            return;
        }
        println!(
            "\n## Promises\n\nOf several cases the worst one is told. In brackets: the 95 % interval.\n"
        );
        println!("| promise | measured | limit | |\n|---|---|---|---|");
        for Line { promise, measured, limit, kept } in &self.lines {
            println!("| {promise} | {measured} | {limit} | {} |", if *kept { "kept" } else { "**BROKEN**" });
        }
        let broken = self.lines.iter().filter(|line| !line.kept).count();
        println!("\n{} of {} promises kept.", self.lines.len() - broken, self.lines.len());
    }
}

/// Three digits that matter.
fn number(value: f64) -> String {
    match value.abs() {
        _ if value.is_infinite() => "–".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
