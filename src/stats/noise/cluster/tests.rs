use super::*;
use crate::stats::vectors::close;

fn law(size: f64, dispersion: f64) -> ClusterLaw {
    ClusterLaw::new(size, dispersion)
}

fn look(x: f64, y: f64, share: f64) -> PairCount {
    PairCount {
        canary: ArmCount::ratio(x, 1e6 * share).unwrap(),
        baseline: ArmCount::ratio(y, 1e6 * (1.0 - share)).unwrap(),
    }
}

#[test]
fn laws_have_the_mass_the_mean_and_the_dispersion_they_say() {
    for (size, dispersion) in [(4.0, 7.0), (2.0, 7.0), (1.1, 2.0), (1.01, 1.2)] {
        let law = law(size, dispersion);
        let table = law.made_of(300);
        for mean in [0.2, 3.0] {
            let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
            for (x, made_of) in (0_u32..).map(f64::from).zip(&table) {
                let [chance] = probabilities([made_of], mean / law.size);
                mass += chance;
                first += x * chance;
                second += x * x * chance;
            }
            let case = (size, dispersion, mean);
            close(mass, 1.0, 1e-9, &case);
            close(first, mean, 1e-7, &case);
            close((second - first * first) / first, dispersion, 1e-5, &case);
        }
    }
}

#[test]
fn single_events_leave_the_conditional_binomial() {
    // Clusters of one event, nearly: the likelihood is that of the events themselves.
    let likelihood = law(1.0 + 1e-9, 1.0 + 1e-8).likelihood(&look(3.0, 14.0, 0.1));
    for eta in [-1.0_f64, 0.7, 3.0] {
        let binomial = 3.0 * eta - 17.0 * (0.1 * eta.exp_m1()).ln_1p();
        close(likelihood(eta) - likelihood(0.0), binomial, 1e-6, &eta);
    }
}

#[test]
fn the_likelihood_is_the_integral_over_the_common_rate() {
    for law in [law(4.0, 7.0), law(1.2, 1.4), law(1.9, 8.0)] {
        for (x, y) in [(0.0, 1.0), (9.0, 14.0), (4.0, 55.0)] {
            let look = look(x, y, 0.1);
            let table = law.made_of(60);
            let integral = |eta: f64| {
                let terms = (-4000..1000).map(|i| {
                    let rate = (f64::from(i) * 0.01).exp();
                    let of = |count: f64, mean: f64| {
                        let [chance] = probabilities([&table[whole(count)]], mean / law.size);
                        chance.ln()
                    };
                    of(x, rate * eta.exp() * 0.1) + of(y, rate * 0.9)
                });
                log_sum_exp(terms.collect::<Vec<_>>().into_iter())
            };
            let likelihood = law.likelihood(&look);
            for eta in [-2.0, 0.7, 3.9] {
                let expected = integral(eta) - integral(0.0);
                close(likelihood(eta) - likelihood(0.0), expected, 1e-6, &(x, y, law, eta));
            }
        }
    }
}

/// A history of `looks` whose clusters have these sizes, each as often, well mixed.
fn history(sizes: [f64; 10], looks: usize) -> Vec<ArmCount> {
    let mut next = 0_u32;
    (0..looks)
        .map(|look| {
            let clusters = [1, 4, 2, 6, 3, 5, 2, 4, 3, 7][look % 10];
            let events = (0..clusters).map(|_| {
                next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                sizes[(next >> 16) as usize % 10]
            });
            ArmCount::ratio(events.sum(), 1500.0).unwrap()
        })
        .collect()
}

#[test]
fn the_fit_tells_rare_large_clusters_from_many_of_middle_size() {
    let rare = history([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 30.0], 240);
    let fitted = ClusterLaw::fit(&rare, 23.0).unwrap();
    assert!(fitted.size() < 6.0, "{fitted:?}");
    let even = history([1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 6.0, 9.0, 4.0, 8.0], 240);
    let fitted = ClusterLaw::fit(&even, 7.0).unwrap();
    assert!(fitted.size() > 2.5 && fitted.size() <= 4.0, "{fitted:?}");
}

/// Errors that come one by one, and incidents of both versions, disperse as widely as clusters do. Taking each of the baseline's
/// errors for a part of a cluster, and the canary's one for a cluster, rolled back nearly every good canary.
#[test]
fn incidents_are_no_clusters() {
    let counts = [14, 9, 17, 12, 21, 11, 13, 8, 16, 15, 10, 19, 12, 14, 7, 18];
    let mut looks: Vec<_> =
        (0..240).map(|look| ArmCount::ratio(f64::from(counts[look * 7 % 16]), 1500.0).unwrap()).collect();
    for (from, until, times) in [(60, 68, 10.0), (150, 158, 10.0), (200, 201, 20.0)] {
        for look in &mut looks[from..until] {
            *look = ArmCount::ratio(look.events() * times, 1500.0).unwrap();
        }
    }
    let dispersion = super::super::measured(&looks, |p| p * (1.0 - p)).unwrap().dispersion;
    assert!(dispersion > 5.0, "{dispersion}");
    assert_eq!(ClusterLaw::fit(&looks, dispersion), None);
}

/// The expectation of a look's likelihood ratio for `times` against 1, when clusters are as `law` has them.
fn expectation(law: ClusterLaw, share: f64, mean: f64, times: f64) -> f64 {
    let table = law.made_of(60);
    let chance = |x: usize, mean: f64| {
        let [chance] = probabilities([&table[x]], mean / law.size);
        chance
    };
    let mut expectation = 0.0;
    for (x, x_real) in (0..=60).zip((0_u32..).map(f64::from)) {
        for (y, y_real) in (0..=60 - x).zip((0_u32..).map(f64::from)) {
            let p = chance(x, mean * share) * chance(y, mean * (1.0 - share));
            if p < 1e-8 {
                continue;
            }
            let ratio = if x + y == 0 {
                1.0
            } else {
                let likelihood = law.likelihood(&look(x_real, y_real, share));
                (likelihood(times.ln()) - likelihood(0.0)).exp()
            };
            expectation += p * ratio;
        }
    }
    expectation
}

#[test]
fn likelihood_ratios_of_clusters_have_expectation_about_one() {
    for share in [0.05, 0.1] {
        for mean in [0.5, 3.0] {
            for times in [1.5, 5.0] {
                let got = expectation(law(4.0, 7.0), share, mean, times);
                assert!(got <= 1.03, "share {share}, mean {mean}, x{times}: {got}");
            }
        }
    }
}
