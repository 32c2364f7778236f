//! The core in virtual time.

use super::*;
use crate::demo::tsuru::faults::{Faults, Switch};
use crate::words::Span;

mod calls;
mod faults;
mod properties;
mod source;

/// When everything begins.
const START: Time = Time(1_787_317_200_000);

/// An install with an app `shop`, whose `web` has four ready units of version 1, and a clock.
struct Bench {
    tsuru: Tsuru,
    now: Time,
}

impl Bench {
    fn new(seed: u64) -> Self {
        Self::with(seed, AppSpec::web("shop"))
    }

    fn with(seed: u64, spec: AppSpec) -> Self {
        let mut tsuru = Tsuru::new(Config { seed, ..Config::default() });
        tsuru.create_app(START, spec, Some(("toy:good", 4))).expect("the name is free");
        Self { tsuru, now: START }
    }

    fn faults(&mut self, faults: Faults) {
        self.tsuru.set_faults(self.now, faults);
    }

    fn app(&self) -> &App {
        self.tsuru.app("shop").expect("the app")
    }

    fn begin(&mut self, act: Act) -> CallId {
        self.tsuru.begin(self.now, Caller::token("uguisu"), "shop", act).expect("the app exists")
    }

    /// Waits for the end of a call.
    fn finish(&mut self, call: CallId) -> Result<(), Failure> {
        loop {
            match self.tsuru.progress(call).expect("nobody forgot it").standing {
                Standing::Over(result) => {
                    self.tsuru.forget(call);
                    return result;
                }
                Standing::Lost => panic!("the answer is lost"),
                Standing::Open => {}
            }
            self.now = self.tsuru.next_due().expect("a call that is not over is due some time").max(self.now);
            self.tsuru.advance(self.now);
        }
    }

    fn act(&mut self, act: Act) -> Result<(), Failure> {
        let call = self.begin(act);
        self.finish(call)
    }

    fn wait(&mut self, span: Span) {
        self.now = self.now + span;
        self.tsuru.advance(self.now);
    }

    /// What went wrong, as text.
    fn error(&mut self, act: Act) -> String {
        self.act(act).expect_err("it must fail").text
    }

    /// The lines that the newest event wrote.
    fn lines(&self) -> Vec<String> {
        let event = self.tsuru.events().last().expect("an event");
        event.lines.iter().map(|l| l.text.clone()).collect()
    }

    /// How many units of a version there are: all, and those that serve.
    fn units(&self, version: u32) -> (usize, usize) {
        let of = || self.app().pods.iter().filter(|p| p.version == version);
        (of().count(), of().filter(|p| p.serves()).count())
    }
}

fn deploy(image: &str) -> Act {
    Act::Deploy(Deploy { image: image.to_owned(), new_version: true, ..Deploy::default() })
}

fn plain_deploy(image: &str) -> Act {
    Act::Deploy(Deploy { image: image.to_owned(), ..Deploy::default() })
}

fn only(version: &str) -> Act {
    Act::Rollback(Deploy { image: version.to_owned(), override_versions: true, ..Deploy::default() })
}

fn route(version: &str, routable: bool) -> Act {
    Act::Routable { version: version.to_owned(), routable }
}

fn add(units: u32, version: &str) -> Act {
    Act::AddUnits { units, process: "web".to_owned(), version: version.to_owned() }
}

fn remove(units: u32, version: &str) -> Act {
    Act::RemoveUnits { units, process: "web".to_owned(), version: version.to_owned() }
}

fn delete(version: &str) -> Act {
    Act::DeleteVersion { version: version.to_owned() }
}
