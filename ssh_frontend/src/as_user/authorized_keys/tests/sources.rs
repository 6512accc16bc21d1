use super::*;

#[test]
fn a_list_names_addresses_networks_and_patterns() {
    let six = IpAddr::V6("2001:db8::7".parse::<Ipv6Addr>().unwrap());
    let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped());
    let cases = [
        ("192.0.2.7", HERE, true),
        ("192.0.2.70", HERE, false),
        ("192.0.2.0/24", HERE, true),
        ("192.0.3.0/24", HERE, false),
        ("0.0.0.0/0", HERE, true),
        ("0.0.0.0/0", six, false),
        ("192.0.2.*", HERE, true),
        ("192.*.7", HERE, true),
        ("192.*.8", HERE, false),
        ("192.0.2.?", HERE, true),
        ("192.0.2.7?", HERE, false),
        ("*", HERE, true),
        ("*", six, true),
        ("198.51.100.1,192.0.2.7", HERE, true),
        ("*,!192.0.2.7", HERE, false),
        ("!192.0.2.7,*", HERE, false),
        ("!192.0.2.0/24,*", HERE, false),
        ("!192.0.2.*,*", HERE, false),
        ("!192.0.2.8,*", HERE, true),
        ("!192.0.2.8", HERE, false),
        ("::ffff:192.0.2.7", HERE, true),
        ("192.0.2.7", mapped, true),
        ("192.0.2.0/24", mapped, true),
        ("!192.0.2.0/24,*", mapped, false),
        ("2001:DB8::7", six, true),
        ("2001:DB8::*", six, true),
        ("2001:0db8:0:0::7", six, true),
        ("2001:db8::/32", six, true),
        ("2001:db9::/32", six, false),
        ("host.example", HERE, false),
        ("*.example", HERE, false),
        ("localhost", IpAddr::V4(Ipv4Addr::LOCALHOST), false),
        ("!host.example,*", HERE, true),
    ];
    for (list, source, allowed) in cases {
        let verdict = with_options(&format!("from=\"{list}\""), source);
        assert_eq!(verdict == found(), allowed, "{list} for {source}");
    }
}

#[test]
fn a_list_with_a_mistake_in_it_allows_nobody() {
    let cases = [
        "",
        "*,",
        "!,*",
        "*,192.0.2.7/24",
        "192.0.2.0/33,*",
        "!192.0.2/24,*",
        "*,!192.0.2.0/255.255.255.0",
        "!::ffff:192.0.2.0/120,*",
    ];
    for list in cases {
        let verdict = with_options(&format!("from=\"{list}\""), HERE);
        assert!(matches!(verdict, KeyVerdict::Refused(_)), "{list:?}");
    }
}

#[test]
fn many_stars_cost_no_time() {
    let began = Instant::now();
    let list = "*a".repeat(2_000);
    let verdict = with_options(&format!("from=\"{list}\""), HERE);
    assert!(matches!(verdict, KeyVerdict::Refused(_)));
    assert!(began.elapsed() < Duration::from_secs(1));
}
