//! `uguisu judge`: judges rollouts that others run, from JSON Lines on standard input.
//!
//! One object a look comes in, one object a look goes out, in the same order; any number of rollouts may be interleaved,
//! each in its own virtual time. A line that makes no sense is refused with its number on standard error and has no
//! effect; nothing else stops, and it does not change the exit code. Nothing but each rollout's fixed-size state is kept.
//!
//! Exit codes: 0, all input was read; 1, the policy holds errors; 2, it, or the input, could not be read.

mod lines;
mod report;

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::judge::{Look, Problem, Refusal, Trial};
use crate::policy::{Policy, nearest};
use lines::{Line, Next};
use report::Report;

/// Judge rollouts that others run: a JSON object a look in, a JSON object a look out.
#[derive(Debug, clap::Args)]
#[command(after_help = FORMAT)]
pub(super) struct Args {
    /// The policy's file.
    #[arg(value_name = "POLICY")]
    policy: PathBuf,
    #[command(flatten)]
    output: Output,
}

const FORMAT: &str = "\
In, one object a look of a rollout; any number of rollouts may be interleaved:
  {\"rollout\":\"r1\", \"at\":15.0, \"share\":0.1, \"signals\":{
    \"errors\": {\"baseline\":{\"events\":12,\"total\":1350}, \"canary\":{\"events\":4,\"total\":150}},
    \"latency\":{\"baseline\":{\"le\":[0.1,0.25],\"counts\":[900,1200],\"total\":1350}, \"canary\":null},
    \"memory\": {\"baseline\":[1.1e8,1.2e8], \"canary\":[1.4e8]}}}
on one line. Counts are increments since the look before, those of a histogram cumulative over `le`;
a gauge has one value a unit; `null`: an arm gave nothing. The policy's `warm_up` is yours to leave out.
A rollout's first look may carry
\"history\":[…], such looks at the baseline alone from before it.
Out, one object for each: \"decision\" is continue, hold, pause, promote or rollback. The last two are final, but
promote of a policy that watches what follows (`watch`, `keep_for`) only after looks of that time with \"share\":1.
rules/README.md says more.";

/// What is printed.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
struct Output {
    /// Print only the last decision of each rollout, with its time.
    #[arg(long = "final")]
    only_final: bool,
    /// Add why in one sentence, what would have changed each signal's outcome, and when a decision that is final fell.
    #[arg(long)]
    explain: bool,
}

impl Output {
    /// A report as it is printed.
    fn of(self, report: Report) -> Report {
        if self.explain { report } else { report.brief() }
    }
}

/// The size of the buffers around standard input and output.
const BUFFER: usize = 256 * 1024;

/// Runs the command.
#[must_use]
pub(super) fn run(args: &Args) -> ExitCode {
    let policy = match super::policy::one(&args.policy) {
        Ok(policy) => policy,
        Err(code) => return code,
    };
    let input = BufReader::with_capacity(BUFFER, io::stdin().lock());
    let output = BufWriter::with_capacity(BUFFER, io::stdout().lock());
    match judge(&policy, args.output, input, output, io::stderr().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            let _ = writeln!(io::stderr(), "error: every line was refused, so nothing was judged");
            ExitCode::from(2)
        }
        // A reader that closed the pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

/// One rollout.
enum Course {
    Running(Box<Trial>),
    /// The decision is final: this is the last word, whatever comes.
    Over(Box<Report>),
}

impl Course {
    fn new(name: &str, trial: Box<Trial>) -> Self {
        if trial.is_over() { Self::Over(Box::new(Report::new(name, &trial))) } else { Self::Running(trial) }
    }
}

/// All rollouts so far, in the order of their first looks.
struct Rollouts<'a> {
    policy: &'a Policy,
    courses: Vec<(String, Course)>,
    indices: HashMap<String, usize>,
}

/// A line that was taken.
struct Taken {
    /// Which rollout it belongs to.
    index: usize,
    at: f64,
    /// What of it was left out.
    left_out: Vec<String>,
}

/// Judges line by line. Whether any was taken, if there was one.
fn judge(
    policy: &Policy,
    wanted: Output,
    mut input: impl BufRead + Buffered,
    mut output: impl Write,
    mut errors: impl Write,
) -> io::Result<bool> {
    let mut rollouts = Rollouts { policy, courses: Vec::new(), indices: HashMap::new() };
    let (mut buffer, mut number, mut has_refused) = (Vec::new(), 0_u64, false);
    loop {
        // Whoever waits for an answer before the next look must get it.
        if !input.has_more() {
            output.flush()?;
        }
        number += 1;
        let taken = match lines::next(&mut input, &mut buffer)? {
            Next::End => break,
            Next::Blank => continue,
            Next::Bad(why) => Err(vec![why]),
            Next::Line(line) => rollouts.take(line),
        };
        match taken {
            Ok(Taken { index, at, left_out }) => {
                for note in left_out {
                    writeln!(errors, "line {number}: {note}")?;
                }
                if !wanted.only_final {
                    wanted.of(rollouts.report(index).at(at)).print(&mut output)?;
                }
            }
            Err(reasons) => {
                has_refused = true;
                for reason in reasons {
                    writeln!(errors, "line {number}: refused: {reason}")?;
                }
            }
        }
    }
    if wanted.only_final {
        for index in 0..rollouts.courses.len() {
            wanted.of(rollouts.report(index)).print(&mut output)?;
        }
    }
    output.flush()?;
    Ok(!has_refused || !rollouts.courses.is_empty())
}

impl Rollouts<'_> {
    /// Takes one line, or says why it is refused.
    fn take(&mut self, line: Line) -> Result<Taken, Vec<String>> {
        let unused = line.unused();
        let (name, history, look) = line.into_parts();
        let Some(index) = self.indices.get(&name).copied() else {
            let mut taken = self.begin(name, &history, &look)?;
            taken.left_out.extend(unused.map(str::to_owned));
            return Ok(taken);
        };
        if !history.is_empty() {
            return Err(vec!["`history` belongs to a rollout's first line".to_owned()]);
        }
        let mut left_out = Vec::new();
        let (name, course) = &mut self.courses[index];
        if let Course::Running(trial) = course {
            left_out = step(self.policy, trial, &look)?;
            if trial.is_over() {
                *course = Course::Over(Box::new(Report::new(name, trial)));
            }
        }
        Ok(Taken { index, at: look.at, left_out })
    }

    fn begin(&mut self, name: String, history: &[Look], look: &Look) -> Result<Taken, Vec<String>> {
        let mut trial = Box::new(Trial::new(self.policy, &[]));
        let unlearnt = history.iter().flat_map(|look| trial.judge_mut().learn(look));
        let mut left_out: Vec<_> =
            unlearnt.map(|refusal| format!("left out of the history: {refusal}")).collect();
        left_out.dedup();
        left_out.extend(step(self.policy, &mut trial, look)?);
        let index = self.courses.len();
        self.courses.push((name.clone(), Course::new(&name, trial)));
        self.indices.insert(name, index);
        Ok(Taken { index, at: look.at, left_out })
    }

    fn report(&self, index: usize) -> Report {
        match &self.courses[index] {
            (name, Course::Running(trial)) => Report::new(name, trial),
            (_, Course::Over(report)) => (**report).clone(),
        }
    }
}

/// Shows a look to a rollout. Signals that the policy does not have are left out and told; any other fault refuses all of
/// the look.
fn step(policy: &Policy, trial: &mut Trial, look: &Look) -> Result<Vec<String>, Vec<String>> {
    let (left_out, refused): (Vec<_>, Vec<_>) =
        trial.judge().check(look).into_iter().partition(|refusal| refusal.problem == Problem::Unknown);
    if !refused.is_empty() {
        return Err(refused.iter().map(ToString::to_string).collect());
    }
    trial.look(look);
    if left_out.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = policy.signals.iter().map(|signal| signal.name.as_str()).collect();
    let unknown = |refusal: &Refusal| {
        refusal.reading.as_ref().map_or_else(String::new, |(name, _)| unknown(name, &names))
    };
    Ok(left_out.iter().map(unknown).collect())
}

/// That a policy has no signal of this name, and which ones it has.
fn unknown(name: &str, names: &[&str]) -> String {
    let known = match names {
        [] => "it compares nothing".to_owned(),
        names => format!("it has `{}`", names.join("`, `")),
    };
    let meant = nearest(name, names).map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
    format!("left out: the policy has no signal `{name}`: {known}{meant}")
}

/// Judges lines that are at hand: what goes to standard output, and what to standard error.
pub(crate) fn lines(policy: &Policy, input: &[u8]) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let wanted = Output { explain: true, ..Output::default() };
    judge(policy, wanted, BufReader::new(input), &mut output, &mut errors)?;
    Ok((output, errors))
}

/// Input of which is known whether more of it is at hand without waiting.
trait Buffered {
    fn has_more(&self) -> bool;
}

impl<R: io::Read> Buffered for BufReader<R> {
    fn has_more(&self) -> bool {
        !self.buffer().is_empty()
    }
}

#[cfg(test)]
mod tests;
