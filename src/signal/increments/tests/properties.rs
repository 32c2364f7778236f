use proptest::prelude::*;

use super::*;

/// What happens to a unit before a look.
#[derive(Debug, Clone)]
struct Turn {
    bad: u32,
    good: u32,
    /// It restarts just after its last sample.
    restarts: bool,
    answers: bool,
}

fn turn() -> impl Strategy<Value = Turn> {
    (0..20_u32, 0..200_u32, prop::bool::weighted(0.1), prop::bool::weighted(0.7))
        .prop_map(|(bad, good, restarts, answers)| Turn { bad, good, restarts, answers })
}

proptest! {
    /// Over random loads, restarts, missed scrapes and daemon restarts: what a book gives in all is what happened.
    #[test]
    fn each_event_is_counted_exactly_once(
        turns in prop::collection::vec(prop::array::uniform4(turn()), 1..60),
        tells_start in any::<bool>(),
        saved in any::<prop::sample::Index>(),
    ) {
        let mut book = book(Kind::Ratio);
        let (mut counters, mut start) = ([[1000.0_f64, 50_000.0]; 4], [-500_i32; 4]);
        let (mut truth, mut given) = ([[0.0; 2]; 2], [[0.0; 2]; 2]);
        let look_at = |book: &mut Book, counters: &[[f64; 2]; 4], start: &[i32; 4], seconds: i32, who: &dyn Fn(usize) -> bool| {
            for unit in (0..4).filter(|unit| who(*unit)) {
                let arm = if unit < 2 { B } else { C };
                let mut sample = sample(arm, &unit.to_string(), seconds, counters[unit][0], counters[unit][1]);
                sample.started = tells_start.then(|| at(start[unit]));
                book.take(&sample, at(seconds)).unwrap();
            }
            let readings = book.close().readings;
            [readings.baseline, readings.canary].map(|reading| match reading {
                Some(Reading::Counts { events, total }) => [events, total],
                _ => [0.0; 2],
            })
        };
        let add = |sums: &mut [[f64; 2]; 2], more: [[f64; 2]; 2]| {
            for (sum, more) in sums.iter_mut().flatten().zip(more.iter().flatten()) {
                *sum += more;
            }
        };
        look_at(&mut book, &counters, &start, 0, &|_| true);
        let last = turns.len() - 1;
        let save_at = saved.index(turns.len());
        let mut sampled = [true; 4];
        for (n, turn) in turns.iter().enumerate() {
            let seconds = 5 * (i32::try_from(n).unwrap() + 1);
            for (unit, t) in turn.iter().enumerate() {
                // A restart between two samples loses what came after the first one; that is nobody's fault. Here it
                // comes before anything was counted.
                if t.restarts && sampled[unit] {
                    (counters[unit], start[unit]) = ([0.0; 2], seconds - 3);
                }
                let more = [f64::from(t.bad), f64::from(t.bad + t.good)];
                for (slot, more) in more.into_iter().enumerate() {
                    counters[unit][slot] += more;
                    truth[unit / 2][slot] += more;
                }
            }
            let answers = |unit: usize| turn[unit].answers || n == last || seconds % 30 == 0;
            add(&mut given, look_at(&mut book, &counters, &start, seconds, &answers));
            sampled = std::array::from_fn(answers);
            if n == save_at {
                book = serde_json::from_str(&serde_json::to_string(&book).unwrap()).unwrap();
            }
        }
        let sums = given.iter().flatten().zip(truth.iter().flatten());
        for (given, truth) in sums {
            // A restart that cannot be seen hides what was counted since, but nothing is ever invented.
            prop_assert!(given <= truth, "{given} of {truth}");
            prop_assert!(!tells_start || given >= truth, "{given} of {truth}");
        }
    }

    /// No order of samples, however absurd, panics or gives what is no count.
    #[test]
    fn nonsense_gives_no_nonsense(
        kind in prop::sample::select(vec![Kind::Ratio, Kind::Rate, Kind::Latency]),
        steps in prop::collection::vec(
            (any::<bool>(), 0..3_u8, -200..900_i32, prop::option::of(-50..900_i32), prop::option::of(-50..900_i32),
             prop::collection::vec((0..5_u8, 0..3_u64, prop_oneof![Just(f64::NAN), -1.0..1e17, 0.0..100.0]), 0..6)), 0..40),
    ) {
        let mut book = book(kind);
        for (canary, unit, seconds, born, started, points) in steps {
            let role = |n| match n {
                0 => Role::Events,
                1 => Role::Total,
                2 => Role::Bucket(0.1),
                3 => Role::Bucket(f64::NAN),
                _ => Role::Bucket(ALL),
            };
            let points = points.into_iter().map(|(r, series, value)| Point { role: role(r), series, value }).collect();
            let sample = UnitSample {
                unit: unit.to_string(),
                arm: if canary { C } else { B },
                at: at(seconds),
                born: born.map(at),
                started: started.map(at),
                points,
            };
            let _ = book.take(&sample, at(300));
            let readings = book.close().readings;
            for reading in [readings.baseline, readings.canary].into_iter().flatten() {
                let (counts, total) = match reading {
                    Reading::Counts { events, total } => (vec![events], total),
                    Reading::Histogram { counts, total, .. } => (counts, total),
                    Reading::Values(_) => panic!("no book gives values"),
                };
                prop_assert!(total.is_finite() && total >= 0.0);
                for count in counts {
                    prop_assert!(count.is_finite() && count >= 0.0 && (kind == Kind::Rate || count <= total));
                }
            }
        }
    }
}
