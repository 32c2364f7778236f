mod properties;

use super::*;

const BEGAN: Time = Time(1_000_000);

fn at(seconds: i32) -> Time {
    Time(BEGAN.0 + i64::from(seconds) * 1000)
}

fn book(kind: Kind) -> Book {
    Book::new(kind, Compare::Both, BEGAN, Span::seconds(15))
}

/// A unit's sample of a ratio: bad events, all events. A negative number: the series is not there.
fn sample(arm: Arm, unit: &str, seconds: i32, bad: f64, all: f64) -> UnitSample {
    let points = [(Role::Events, bad), (Role::Total, all)]
        .into_iter()
        .filter(|(_, value)| *value >= 0.0)
        .map(|(role, value)| Point { role, series: 1, value })
        .collect();
    UnitSample { unit: unit.to_owned(), arm, at: at(seconds), born: None, started: None, points }
}

fn born(mut sample: UnitSample, seconds: i32) -> UnitSample {
    sample.born = Some(at(seconds));
    sample
}

fn started(mut sample: UnitSample, seconds: i32) -> UnitSample {
    sample.started = Some(at(seconds));
    sample
}

fn take(book: &mut Book, samples: impl IntoIterator<Item = UnitSample>) {
    for sample in samples {
        let now = sample.at;
        book.take(&sample, now).unwrap();
    }
}

/// Takes the samples and closes: baseline's bad and all, canary's bad and all; nothing for an arm that is silent.
fn look(book: &mut Book, samples: impl IntoIterator<Item = UnitSample>) -> [Option<[f64; 2]>; 2] {
    take(book, samples);
    let Arms { baseline, canary } = book.close().readings;
    [baseline, canary].map(|reading| match reading? {
        Reading::Counts { events, total } => Some([events, total]),
        other => panic!("{other:?}"),
    })
}

const B: Arm = Arm::Baseline;
const C: Arm = Arm::Canary;
const NOTHING: Option<[f64; 2]> = Some([0.0, 0.0]);

/// A book in which both arms have been seen once, at second 0: baseline 100 of 1000, canary 10 of 100.
fn begun() -> Book {
    let mut book = book(Kind::Ratio);
    let first = [sample(B, "b", 0, 100.0, 1000.0), sample(C, "c", 0, 10.0, 100.0)];
    assert_eq!(look(&mut book, first), [NOTHING, NOTHING], "what was before the first look is not counted");
    book
}

#[test]
fn differences_are_exact() {
    let mut book = begun();
    let next = [sample(B, "b", 15, 103.0, 1050.0), sample(C, "c", 15, 10.0, 107.0)];
    assert_eq!(look(&mut book, next), [Some([3.0, 50.0]), Some([0.0, 7.0])]);
    let huge = 9_007_199_254_740_000.0;
    take(&mut book, [sample(B, "h", 15, 0.0, huge)]);
    let next = [
        sample(B, "b", 30, 103.0, 1050.0),
        sample(C, "c", 30, 10.0, 107.0),
        sample(B, "h", 30, 1.0, huge + 1.0),
    ];
    assert_eq!(look(&mut book, next), [Some([1.0, 1.0]), NOTHING]);
}

#[test]
fn a_unit_that_does_not_answer_delays_the_slice_and_loses_nothing() {
    let mut book = begun();
    assert_eq!(look(&mut book, [sample(B, "b", 15, 101.0, 1010.0)]), [NOTHING, None], "the canary is silent");
    assert_eq!(look(&mut book, []), [None, None]);
    let next = [sample(B, "b", 45, 103.0, 1030.0), sample(C, "c", 45, 12.0, 120.0)];
    assert_eq!(look(&mut book, next), [Some([3.0, 30.0]), Some([2.0, 20.0])]);
}

#[test]
fn a_slice_ends_where_the_slowest_unit_was_last_seen() {
    let mut book = begun();
    take(&mut book, [sample(B, "b", 14, 101.0, 1010.0), sample(B, "b", 29, 103.0, 1020.0)]);
    let next = [sample(C, "c", 15, 10.0, 110.0)];
    assert_eq!(look(&mut book, next), [Some([1.0, 10.0]), Some([0.0, 10.0])]);
    let next = [sample(C, "c", 30, 10.0, 120.0)];
    assert_eq!(look(&mut book, next), [Some([2.0, 10.0]), Some([0.0, 10.0])]);
    let next =
        [sample(B, "b", 44, 103.0, 1030.0), sample(C, "c", 36, 10.0, 121.0), sample(C, "c", 54, 11.0, 131.0)];
    assert_eq!(look(&mut book, next), [Some([0.0, 10.0]), Some([0.0, 1.0])], "most of the rest is later");
}

#[test]
fn a_restart_that_the_start_time_shows_counts_all_series_from_zero() {
    let mut book = book(Kind::Ratio);
    let first = [sample(B, "b", 0, 0.0, 0.0), started(sample(C, "c", 0, 2.0, 10.0), -100)];
    look(&mut book, first);
    let next = [sample(B, "b", 15, 0.0, 0.0), started(sample(C, "c", 15, 3.0, 15.0), 5)];
    assert_eq!(look(&mut book, next)[1], Some([3.0, 15.0]), "no counter fell, but the process is new");
    let next = [sample(B, "b", 30, 0.0, 0.0), started(sample(C, "c", 30, 4.0, 20.0), 6)];
    assert_eq!(
        look(&mut book, next)[1],
        Some([1.0, 5.0]),
        "a start computed a little differently is the same"
    );
}

#[test]
fn a_start_that_moves_to_a_time_before_the_last_sample_is_a_set_clock() {
    let mut book = book(Kind::Ratio);
    look(&mut book, [sample(B, "b", 0, 0.0, 0.0), started(sample(C, "c", 0, 200.0, 9000.0), -9000)]);
    let next = [sample(B, "b", 15, 0.0, 0.0), started(sample(C, "c", 15, 201.0, 9010.0), -5400)];
    assert_eq!(look(&mut book, next)[1], Some([1.0, 10.0]));
}

#[test]
fn a_restart_without_start_times_shows_by_what_fell() {
    let mut book = begun();
    // The bad events passed their old value after the restart; the fall of the others tells.
    let next = [sample(B, "b", 15, 100.0, 1000.0), sample(C, "c", 15, 11.0, 60.0)];
    assert_eq!(look(&mut book, next)[1], Some([11.0, 60.0]));
    // The series of bad events is not there yet after the next restart.
    let next = [sample(B, "b", 30, 100.0, 1000.0), sample(C, "c", 30, -1.0, 5.0)];
    assert_eq!(look(&mut book, next)[1], Some([0.0, 5.0]));
    let next = [sample(B, "b", 45, 100.0, 1000.0), sample(C, "c", 45, 1.0, 9.0)];
    assert_eq!(look(&mut book, next)[1], Some([1.0, 4.0]));
}

#[test]
fn a_label_made_anew_does_not_make_a_lifetime_count_again() {
    let mut book = begun();
    let next = [sample(B, "b", 15, 2.0, 1010.0), sample(C, "c", 15, 10.0, 100.0)];
    assert_eq!(look(&mut book, next)[0], Some([2.0, 10.0]));
    // It vanishes and comes back as it was.
    let next = [sample(B, "b", 30, -1.0, 1020.0), sample(C, "c", 30, 10.0, 100.0)];
    assert_eq!(look(&mut book, next)[0], Some([0.0, 10.0]));
    let next = [sample(B, "b", 45, 3.0, 1030.0), sample(C, "c", 45, 10.0, 100.0)];
    assert_eq!(look(&mut book, next)[0], Some([1.0, 10.0]));
}

#[test]
fn a_series_that_appears_on_a_known_unit_counts_from_zero() {
    let mut book = book(Kind::Ratio);
    look(&mut book, [sample(B, "b", 0, -1.0, 500.0), sample(C, "c", 0, -1.0, -1.0)]);
    let next = [sample(B, "b", 15, -1.0, 600.0), sample(C, "c", 15, 4.0, 9.0)];
    assert_eq!(look(&mut book, next), [Some([0.0, 100.0]), Some([4.0, 9.0])]);
}

#[test]
fn a_canary_made_in_the_rollout_counts_from_its_making() {
    let mut book = book(Kind::Ratio);
    look(&mut book, [sample(B, "b", 0, 100.0, 1000.0)]);
    for seconds in [15, 30, 45] {
        let held = look(&mut book, [sample(B, "b", seconds, 100.0, 1000.0 + 10.0 * f64::from(seconds))]);
        assert_eq!(held, [NOTHING, None]);
    }
    let next = [sample(B, "b", 60, 101.0, 1600.0), born(sample(C, "c", 60, 6.0, 8.0), 40)];
    // The baseline's requests since second 45; those before had no canary to be compared with, or hardly.
    assert_eq!(look(&mut book, next), [Some([1.0, 150.0]), Some([6.0, 8.0])]);
}

#[test]
fn a_baseline_unit_of_unknown_age_is_never_counted_by_its_lifetime() {
    let mut book = begun();
    let canary = |seconds| sample(C, "c", seconds, 10.0, 100.0);
    let next = [sample(B, "b", 15, 100.0, 1001.0), born(sample(B, "old", 15, 7e5, 7e6), -2), canary(15)];
    assert_eq!(look(&mut book, next)[0], Some([0.0, 1.0]));
    let next = [sample(B, "b", 30, 100.0, 1002.0), sample(B, "old", 30, 7e5, 7e6 + 5.0), canary(30)];
    assert_eq!(look(&mut book, next)[0], Some([0.0, 6.0]));
    let next = [sample(B, "b", 45, 100.0, 1002.0), sample(B, "unknown", 45, 7e5, 7e6), canary(45)];
    assert_eq!(look(&mut book, next)[0], NOTHING);
}

#[test]
fn a_stale_unit_is_dropped_and_anchored_anew_when_it_returns() {
    let mut book = begun();
    take(&mut book, [sample(B, "gone", 0, 0.0, 500.0)]);
    let mut gave = Vec::new();
    for seconds in (15..=90).step_by(15) {
        let next = [
            sample(B, "b", seconds, 100.0, 1000.0 + f64::from(seconds)),
            sample(C, "c", seconds, 10.0, 100.0),
        ];
        gave.push(look(&mut book, next)[0]);
    }
    // It is waited for up to a minute; then all that was held is given at once.
    assert_eq!(gave, [NOTHING, NOTHING, NOTHING, NOTHING, Some([0.0, 75.0]), Some([0.0, 15.0])]);
    let others = |seconds| [sample(B, "b", seconds, 100.0, 1090.0), sample(C, "c", seconds, 10.0, 100.0)];
    take(&mut book, [born(sample(B, "gone", 105, 300.0, 900.0), 1)]);
    assert_eq!(look(&mut book, others(105))[0], NOTHING, "it is known, however young it says it is");
    take(&mut book, [sample(B, "gone", 120, 301.0, 902.0)]);
    assert_eq!(look(&mut book, others(120))[0], Some([1.0, 2.0]));
}

#[test]
fn a_unit_that_is_gone_is_not_waited_for_and_counts_up_to_its_last_sample() {
    let mut book = begun();
    take(&mut book, [sample(C, "d", 0, 0.0, 0.0)]);
    take(&mut book, [sample(C, "d", 14, 2.0, 3.0)]);
    book.mark_gone(|_, unit| unit != "d");
    let next = [sample(B, "b", 15, 100.0, 1001.0), sample(C, "c", 15, 10.0, 101.0)];
    assert_eq!(look(&mut book, next), [Some([0.0, 1.0]), Some([2.0, 4.0])]);
    // A list that lagged: it is there again, and nothing was lost.
    book.mark_gone(|_, _| true);
    let next =
        [sample(B, "b", 30, 100.0, 1002.0), sample(C, "c", 30, 10.0, 102.0), sample(C, "d", 30, 2.0, 9.0)];
    assert_eq!(look(&mut book, next), [Some([0.0, 1.0]), Some([0.0, 7.0])]);
}

#[test]
fn a_canary_that_was_dark_returns_with_all_that_both_arms_counted_meanwhile() {
    let mut book = begun();
    for seconds in (15..=600).step_by(15) {
        let held = look(&mut book, [sample(B, "b", seconds, 100.0, 1000.0 + f64::from(seconds))]);
        assert_eq!(held, [NOTHING, None]);
    }
    let next = [sample(B, "b", 615, 100.0, 1615.0), sample(C, "c", 615, 10.0, 161.0)];
    assert_eq!(look(&mut book, next), [Some([0.0, 615.0]), Some([0.0, 61.0])]);
}

#[test]
fn a_canary_that_comes_back_in_new_units_is_compared_from_then_on() {
    let mut book = begun();
    for seconds in (15..=600).step_by(15) {
        look(&mut book, [sample(B, "b", seconds, 100.0, 1000.0 + f64::from(seconds))]);
    }
    let next = [sample(B, "b", 615, 100.0, 1615.0), born(sample(C, "new", 615, 1.0, 2.0), 601)];
    assert_eq!(look(&mut book, next), [Some([0.0, 15.0]), Some([1.0, 2.0])]);
}

#[test]
fn warming_up_is_left_out_of_both_arms() {
    let mut book = begun();
    let next = |seconds: i32, all: f64| {
        [
            sample(B, "b", seconds, 100.0, 1000.0 + all),
            born(sample(C, "new", seconds, all, all), 1),
            sample(C, "c", seconds, 10.0, 100.0),
        ]
    };
    book.leave_out(at(20));
    assert_eq!(look(&mut book, next(15, 5.0)), [NOTHING, NOTHING]);
    assert_eq!(look(&mut book, next(30, 7.0)), [NOTHING, NOTHING], "it began before the end of the warm-up");
    assert_eq!(look(&mut book, next(45, 8.0)), [Some([0.0, 1.0]), Some([1.0, 1.0])]);
}

#[test]
fn time_that_stands_still_or_goes_back_counts_nothing() {
    let mut book = begun();
    let next = [sample(B, "b", 0, 500.0, 5000.0), sample(C, "c", -5, 500.0, 5000.0)];
    assert_eq!(look(&mut book, next), [None, None]);
    let next = [sample(B, "b", 15, 101.0, 1001.0), sample(C, "c", 15, 11.0, 101.0)];
    assert_eq!(look(&mut book, next), [Some([1.0, 1.0]), Some([1.0, 1.0])]);
}

#[test]
fn what_is_no_count_is_refused_and_changes_nothing() {
    let mut book = begun();
    for value in [f64::NAN, f64::INFINITY, -1e-9, 1e300] {
        let mut bad = sample(C, "c", 15, 11.0, 101.0);
        bad.points[0].value = value;
        let before = book.clone();
        assert!(book.take(&bad, at(15)).unwrap_err().contains("no count"));
        assert_eq!(book, before);
    }
    let early = sample(C, "c", 1000, 11.0, 101.0);
    assert!(book.take(&early, at(15)).unwrap_err().contains("ahead of this machine's clock"));
    let next = [sample(B, "b", 30, 100.0, 1000.0), sample(C, "c", 30, 11.0, 101.0)];
    assert_eq!(look(&mut book, next)[1], Some([1.0, 1.0]));
}

#[test]
fn more_bad_events_than_events_are_cut_and_said() {
    let mut book = begun();
    take(&mut book, [sample(B, "b", 15, 103.0, 1001.0), sample(C, "c", 15, 10.0, 100.0)]);
    let closed = book.close();
    assert_eq!(closed.readings.baseline, Some(Reading::Counts { events: 1.0, total: 1.0 }));
    assert_eq!(closed.notes, ["the baseline counted 2 more bad events than events; they are left out"]);
}

#[test]
fn a_rate_counts_unit_seconds() {
    let mut book = book(Kind::Rate);
    let first = [sample(B, "b", 0, 5.0, -1.0), sample(B, "b2", 0, 0.0, -1.0), sample(C, "c", 0, -1.0, -1.0)];
    look(&mut book, first);
    let next = [
        sample(B, "b", 15, 7.0, -1.0),
        sample(B, "b2", 15, 0.0, -1.0),
        sample(C, "c", 15, -1.0, -1.0),
        born(sample(C, "c2", 15, 3.0, -1.0), 5),
    ];
    assert_eq!(look(&mut book, next), [Some([2.0, 30.0]), Some([3.0, 25.0])]);
}

#[test]
fn one_arm_alone_needs_no_other() {
    let mut book = Book::new(Kind::Ratio, Compare::Only(B), BEGAN, Span::seconds(15));
    look(&mut book, [sample(B, "b", 0, 0.0, 0.0)]);
    assert_eq!(look(&mut book, [sample(B, "b", 15, 1.0, 2.0)]), [Some([1.0, 2.0]), None]);
    assert!(book.has_shown());
}

fn buckets(arm: Arm, unit: &str, seconds: i32, series: u64, counts: &[(f64, f64)]) -> UnitSample {
    let points =
        counts.iter().map(|(le, value)| Point { role: Role::Bucket(*le), series, value: *value }).collect();
    UnitSample { unit: unit.to_owned(), arm, at: at(seconds), born: None, started: None, points }
}

const ALL: f64 = f64::INFINITY;

#[test]
fn histograms_are_differenced_by_bucket_and_summed_over_common_bounds() {
    let mut book = Book::new(Kind::Latency, Compare::Only(B), BEGAN, Span::seconds(15));
    let narrow = |seconds, by: f64| {
        let counts =
            [(0.1, 10.0 + by), (0.5, 20.0 + 2.0 * by), (1.0, 30.0 + 2.0 * by), (ALL, 40.0 + 3.0 * by)];
        buckets(B, "b", seconds, 1, &counts)
    };
    let wide = |seconds, by: f64| buckets(B, "w", seconds, 2, &[(0.5, by), (2.0, by), (ALL, by)]);
    take(&mut book, [narrow(0, 0.0), wide(0, 0.0)]);
    book.close();
    take(&mut book, [narrow(15, 5.0), wide(15, 0.0)]);
    let alone = Reading::Histogram { le: vec![0.1, 0.5, 1.0], counts: vec![5.0, 10.0, 10.0], total: 15.0 };
    assert_eq!(book.close().readings.baseline, Some(alone), "a histogram without requests has no say");
    take(&mut book, [narrow(30, 6.0), wide(30, 4.0)]);
    let both = Reading::Histogram { le: vec![0.5], counts: vec![6.0], total: 7.0 };
    assert_eq!(book.close().readings.baseline, Some(both));
}

#[test]
fn a_histogram_in_which_any_bucket_fell_began_again() {
    let mut book = Book::new(Kind::Latency, Compare::Only(B), BEGAN, Span::seconds(15));
    take(&mut book, [buckets(B, "b", 0, 1, &[(0.1, 5.0), (ALL, 6.0)])]);
    book.close();
    take(&mut book, [buckets(B, "b", 15, 1, &[(0.1, 2.0), (ALL, 7.0)])]);
    let again = Reading::Histogram { le: vec![0.1], counts: vec![2.0], total: 7.0 };
    assert_eq!(book.close().readings.baseline, Some(again));
}

#[test]
fn torn_histograms_are_mended_and_such_without_a_total_left_out() {
    let mut book = Book::new(Kind::Latency, Compare::Only(B), BEGAN, Span::seconds(15));
    let zero = [(0.1, 0.0), (0.2, 0.0), (ALL, 0.0)];
    take(&mut book, [buckets(B, "b", 0, 1, &zero), buckets(B, "no", 0, 2, &[(0.1, 0.0)])]);
    book.close();
    let torn = [(0.1, 5.0), (0.2, 4.0), (ALL, 3.0)];
    take(&mut book, [buckets(B, "b", 15, 1, &torn), buckets(B, "no", 15, 2, &[(0.1, 9.0)])]);
    let mended = Reading::Histogram { le: vec![0.1, 0.2], counts: vec![5.0, 5.0], total: 5.0 };
    assert_eq!(book.close().readings.baseline, Some(mended));
}

#[test]
fn series_are_told_apart_by_names_and_values() {
    let ids = [
        series_id([]),
        series_id([("a", "b")]),
        series_id([("a", "bc")]),
        series_id([("ab", "c")]),
        series_id([("a", "b"), ("c", "d")]),
        series_id([("a", "bc"), ("d", "")]),
    ];
    for (i, id) in ids.iter().enumerate() {
        assert!(!ids[i + 1..].contains(id));
    }
}

#[test]
fn what_waits_for_the_other_arm_stays_bounded() {
    let mut book = begun();
    for seconds in 1..5000 {
        take(&mut book, [sample(B, "b", seconds, 100.0, 1000.0 + f64::from(seconds))]);
        book.close();
    }
    assert!(serde_json::to_string(&book).unwrap().len() < 100_000);
    let next = [sample(B, "b", 5000, 100.0, 6000.0), sample(C, "c", 5000, 10.0, 101.0)];
    assert_eq!(look(&mut book, next)[0], Some([0.0, 5000.0]), "nothing is lost by being joined");
}
