//! 64 virtual routers at 100 ms on one vrrpd and one dataplane. With `SLUICE_MEASURE` for as long as gives a percentile
//! of 99.9; what they cost is printed.

use std::time::Duration;

use integration::crowd;

const ROUTERS: u8 = 64;
const INTERVAL: Duration = Duration::from_millis(100);

#[test]
fn all_of_a_crowd_are_masters() {
    let seconds = if std::env::var_os("SLUICE_MEASURE").is_some() { 30 } else { 3 };
    let period = Duration::from_secs(seconds);
    let cost = crowd::measure(ROUTERS, INTERVAL, period).unwrap();
    let (vrrpd, dataplane) = (100.0 * cost.vrrpd, 100.0 * cost.dataplane);
    let [half, most, nearly_all, all] = [0.5, 0.99, 0.999, 1.0].map(|share| cost.late(share));
    println!("vrrpd {vrrpd:.1}% of a CPU, the dataplane {dataplane:.1}% more than without");
    println!("late: median {half:.1?}, p99 {most:.1?}, p99.9 {nearly_all:.1?}, all {all:.1?}");
    assert_eq!(cost.faults, [""; 0]);
    assert_eq!(cost.adverts.len(), usize::from(ROUTERS));
    // None twice in its turn; how many are left out is up to how busy the machine is.
    let turns = (period.as_millis() / INTERVAL.as_millis()) as usize + 1;
    assert!(cost.adverts.iter().all(|adverts| (turns / 4..=turns).contains(adverts)), "{:?}", cost.adverts);
}
