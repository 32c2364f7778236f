//! The plot in the guide to policies is what the judge makes of simulated rollouts today.
//!
//! `UGUISU_DRAW=1 cargo test --test guide` draws `rules/evidence.svg` anew.

#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a test stops at the first surprise; looks are few"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use uguisu::judge::{Judge, Look, Reading, Verdict};
use uguisu::policy::Policy;
use uguisu::simulate::{Effect, Family, Fault, Scenario, Step, Traffic};
use uguisu::stats::ArmCount;
use uguisu::words::{Arms, Share};

const POLICY: &str = "policy: plot\nfor: { apps: ['*'] }\nstrategy: { canary: { steps: [10%] } }\nsignals: [{ use: http-errors, \
                      critical: true }]\n";

/// Half an hour of looks.
const LOOKS: usize = 120;
const EVERY: f64 = 15.0;

/// The canaries: how many times as bad, the class that colours it, and the seed of its traffic.
const CANARIES: [(f64, &str, u64); 3] = [(1.0, "good", 4), (2.0, "bad", 5), (5.0, "worst", 6)];

fn policy() -> Policy {
    uguisu::policy::read("plot.yaml", POLICY).policy.unwrap()
}

/// What the judge says at each look of a rollout at 100 requests a second, 1 % of them failing, a tenth to the canary.
fn rollout(times: f64, seed: u64) -> Vec<Verdict> {
    let scenario = Scenario {
        requests: 100.0,
        base: 0.01,
        family: Family::Plain,
        fault: Some(Fault { effect: Effect::Times(times), onset: 0 }),
        every: EVERY,
        steps: vec![Step { share: 0.1, slices: LOOKS }],
        history: 240,
    };
    let reading = |arm: ArmCount| Some(Reading::Counts { events: arm.events(), total: arm.exposure() });
    let look = |at: f64, baseline: ArmCount, canary: Option<ArmCount>| {
        let arms = Arms { baseline: reading(baseline), canary: canary.and_then(reading) };
        let signals = BTreeMap::from([("http-errors".to_owned(), arms)]);
        Look { at, share: canary.and(Share::new(0.1)), signals }
    };
    let mut traffic = Traffic::new(&scenario, seed);
    let history = traffic.history();
    let before = |n: usize| (n as f64 - history.len() as f64) * EVERY;
    let history: Vec<Look> = history.iter().enumerate().map(|(n, arm)| look(before(n), *arm, None)).collect();
    let mut judge = Judge::new(&policy(), &history);
    (1..=LOOKS)
        .map(|n| {
            let counts = traffic.slice();
            judge.look(&look(n as f64 * EVERY, counts.baseline, Some(counts.canary)))
        })
        .collect()
}

/// A panel: where it is, what its vertical axis holds, on a logarithmic scale.
struct Panel {
    top: f64,
    least: f64,
    most: f64,
}

/// Narrow, with letters that a phone can show.
const LEFT: f64 = 62.0;
const WIDTH: f64 = 388.0;
const HEIGHT: f64 = 190.0;

impl Panel {
    fn x(look: usize) -> f64 {
        LEFT + WIDTH * (look + 1) as f64 / LOOKS as f64
    }

    fn y(&self, value: f64) -> f64 {
        let part = (value.clamp(self.least, self.most) / self.least).ln() / (self.most / self.least).ln();
        self.top + HEIGHT * (1.0 - part)
    }

    fn line(&self, values: impl Iterator<Item = (usize, f64)>) -> String {
        let points: Vec<String> =
            values.map(|(look, value)| format!("{:.1},{:.1}", Self::x(look), self.y(value))).collect();
        points.join(" ")
    }

    /// The axes, with a line and a word at each of these values, under a title and what it means.
    fn frame(&self, svg: &mut String, [title, means]: [&str; 2], marks: &[(f64, &str)]) {
        let (bottom, right) = (self.top + HEIGHT, LEFT + WIDTH);
        writeln!(svg, "<text class=\"title\" x=\"6\" y=\"{}\">{title}</text>", self.top - 30.0).unwrap();
        writeln!(svg, "<text x=\"6\" y=\"{}\">{means}</text>", self.top - 11.0).unwrap();
        for (value, word) in marks {
            let y = self.y(*value);
            writeln!(svg, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>").unwrap();
            writeln!(svg, "<text class=\"tick\" x=\"{}\" y=\"{:.1}\">{word}</text>", LEFT - 8.0, y + 4.0)
                .unwrap();
        }
        for minutes in [0, 10, 20, 30] {
            let x = LEFT + WIDTH * f64::from(minutes) / 30.0;
            writeln!(svg, "<text class=\"time\" x=\"{x:.1}\" y=\"{}\">{minutes} min</text>", bottom + 18.0)
                .unwrap();
        }
        writeln!(svg, "<path class=\"axis\" d=\"M{LEFT} {}V{bottom}H{right}\"/>", self.top).unwrap();
    }

    /// A line that means something, with what it means.
    fn bound(&self, svg: &mut String, value: f64, word: &str) {
        let (y, right) = (self.y(value), LEFT + WIDTH);
        writeln!(svg, "<path class=\"bound\" d=\"M{LEFT} {y:.1}H{right}\"/>").unwrap();
        writeln!(svg, "<text class=\"note\" x=\"{}\" y=\"{:.1}\">{word}</text>", right, y - 5.0).unwrap();
    }

    fn label(&self, svg: &mut String, class: &str, at: (usize, f64), word: &str) {
        let (x, y) = (Self::x(at.0), self.y(at.1));
        writeln!(svg, "<text class=\"{class} word\" x=\"{x:.1}\" y=\"{y:.1}\">{word}</text>").unwrap();
    }
}

const STYLE: &str = "<style>\n\
    text { font: 14px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600 }\n\
    .tick { text-anchor: end } .time { text-anchor: middle } .note { text-anchor: end }\n\
    .back { fill: #ffffff } .grid { stroke: #d8dee4 } .axis { stroke: #59636e; fill: none }\n\
    .bound { stroke: #1f2328; stroke-dasharray: 6 4 } polyline { fill: none; stroke-width: 2 } polygon { fill-opacity: .22 }\n\
    polyline.good { stroke: #116329 } polyline.bad { stroke: #9a6700; stroke-dasharray: 9 3 } polyline.worst { stroke: #a40e26 }\n\
    polygon.good { fill: #116329 } polygon.bad { fill: #9a6700 }\n\
    .word.good { fill: #116329 } .word.bad { fill: #7d4e00 } .word.worst { fill: #a40e26 }\n\
    @media (prefers-color-scheme: dark) {\n\
    text { fill: #e6edf3 } .back { fill: #0d1117 } .grid { stroke: #30363d } .axis { stroke: #9198a1 } .bound { stroke: #e6edf3 }\n\
    polyline.good { stroke: #56d364 } polyline.bad { stroke: #e3b341 } polyline.worst { stroke: #ff7b72 }\n\
    polygon.good { fill: #56d364 } polygon.bad { fill: #e3b341 }\n\
    .word.good { fill: #56d364 } .word.bad { fill: #e3b341 } .word.worst { fill: #ff7b72 } }\n</style>\n";

fn draw() -> String {
    let rollouts: Vec<_> =
        CANARIES.iter().map(|(times, class, seed)| (*times, *class, rollout(*times, *seed))).collect();
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"480\" height=\"568\" viewBox=\"0 0 480 568\" role=\"img\" aria-label=\"Evidence of harm over \
         time for a good canary and two bad ones, and the intervals for how many times as bad they are\">\n",
    );
    svg.push_str(STYLE);
    svg.push_str("<rect class=\"back\" width=\"480\" height=\"568\"/>\n");

    let evidence = Panel { top: 52.0, least: 1e-3, most: 1e4 };
    let marks = [(1e-2, "1/100"), (1.0, "1"), (1e2, "100"), (1e4, "10,000")];
    evidence.frame(
        &mut svg,
        ["Evidence of harm (an e-value)", "one look every 15 s; dashed: 1 / budget = 1 / 1%"],
        &marks,
    );
    evidence.bound(&mut svg, 100.0, "beyond it: rolled back");
    for (times, class, verdicts) in &rollouts {
        let last = verdicts.iter().position(|verdict| verdict.harm).unwrap_or(LOOKS - 1);
        let line = verdicts.iter().take(last + 1).map(|verdict| verdict.log_e_harm.exp());
        let line = evidence.line(line.enumerate());
        writeln!(svg, "<polyline class=\"{class}\" points=\"{line}\"/>").unwrap();
        match last {
            last if verdicts[last].harm => {
                let after = (last + 1) * 15;
                let after = if after < 120 { format!("{after} s") } else { format!("{} min", after / 60) };
                let word = format!("{times} times as bad: {after}");
                // Beside its own line, on either side of the bound.
                let at = if *times > 3.0 { 1200.0 } else { 12.0 };
                evidence.label(&mut svg, class, (last + 2, at), &word);
            }
            _ => evidence.label(&mut svg, class, (60, 3e-2), "as good as the baseline"),
        }
    }

    let effect = Panel { top: 344.0, least: 0.25, most: 8.0 };
    let marks = [(0.5, "x0.5"), (1.0, "x1"), (2.0, "x2"), (4.0, "x4")];
    effect.frame(
        &mut svg,
        ["How many times as bad it can be", "proven when all of the band is below +50% (dashed)"],
        &marks,
    );
    // Words at this line would stand in the bands; the title says what it means.
    effect.bound(&mut svg, 1.5, "");
    for (times, class, verdicts) in rollouts.iter().filter(|(times, ..)| *times < 3.0) {
        let ends = |end: usize, or: f64| {
            verdicts
                .iter()
                .enumerate()
                .map(move |(n, verdict)| (n, verdict.signals["http-errors"].effect[end].unwrap_or(or)))
        };
        let low: Vec<_> = ends(0, 1e-9).collect();
        let band = effect.line(ends(2, 1e9).chain(low.into_iter().rev()));
        writeln!(svg, "<polygon class=\"{class}\" points=\"{band}\"/>").unwrap();
        let estimate = effect.line(ends(1, 1.0).skip(8));
        writeln!(svg, "<polyline class=\"{class}\" points=\"{estimate}\"/>").unwrap();
        let word =
            if *times > 1.0 { format!("{times} times as bad") } else { "as good as the baseline".to_owned() };
        effect.label(&mut svg, class, (66, if *times > 1.0 { 4.6 } else { 0.37 }), &word);
    }
    svg.push_str("</svg>\n");
    svg
}

#[test]
fn the_plot_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/evidence.svg");
    let drawn = draw();
    if std::env::var_os("UGUISU_DRAW").is_some() {
        std::fs::write(&file, &drawn).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == drawn,
        "rules/evidence.svg is not what the judge says today; run `UGUISU_DRAW=1 cargo test --test guide`"
    );
}

/// Letters are up to so wide, in parts of their height: usual ones, and those of titles.
const LETTERS: [f64; 2] = [0.52, 0.62];

#[test]
fn every_word_of_the_plot_is_inside_it() {
    let svg = draw();
    let attribute = |text: &str, name: &str| -> Option<String> {
        Some(text.split_once(&format!("{name}=\""))?.1.split('"').next()?.to_owned())
    };
    let size: f64 = svg.split("font: ").nth(1).unwrap().split("px").next().unwrap().parse().unwrap();
    let most: f64 = attribute(&svg, "width").unwrap().parse().unwrap();
    for text in svg.split("<text").skip(1) {
        let (head, rest) = text.split_once('>').unwrap();
        let word = rest.split("</text>").next().unwrap();
        let x: f64 = attribute(head, " x").unwrap().parse().unwrap();
        let class = attribute(head, "class").unwrap_or_default();
        let width = word.len() as f64 * size * LETTERS[usize::from(class == "title")];
        let (left, right) = match class.as_str() {
            "tick" | "note" => (x - width, x),
            "time" => (x - width / 2.0, x + width / 2.0),
            _ => (x, x + width),
        };
        assert!(left >= 0.0 && right <= most, "`{word}` reaches from {left:.0} to {right:.0} of {most}");
    }
}

#[test]
fn the_rollouts_show_what_the_guide_says() {
    let [good, bad, worst] = CANARIES.map(|(times, _, seed)| rollout(times, seed));
    assert!(good.iter().all(|verdict| !verdict.harm) && good.iter().any(|verdict| verdict.safe));
    assert!(bad.last().unwrap().harm && worst[7].harm);
}
