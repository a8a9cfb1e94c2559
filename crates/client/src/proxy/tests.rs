use super::*;

fn of(proxy: &Proxy, uri: &str) -> Option<String> {
    Some(proxy.of(&uri.parse().unwrap())?.uri.to_string())
}

#[test]
fn the_environment_names_a_proxy_for_each_scheme() {
    let variables = [
        ("HTTP_PROXY", "plain.example:3128"),
        ("https_proxy", "http://me:hush@tunnel.example"),
        ("no_proxy", "near.example"),
        ("HTTPS_PROXY", ""),
    ];
    let proxy = Proxy::from_environment(|name| {
        variables.iter().find_map(|(n, value)| (*n == name).then(|| (*value).to_owned()))
    });
    let proxy = proxy.unwrap();
    assert_eq!(of(&proxy, "http://a.example/x").unwrap(), "http://plain.example:3128/");
    assert_eq!(of(&proxy, "https://a.example/x").unwrap(), "http://tunnel.example/");
    assert_eq!(of(&proxy, "https://near.example/x"), None);
    assert_eq!(of(&proxy, "http://localhost/x"), None);
    let server = proxy.https.as_ref().unwrap();
    assert_eq!(proxy.headers_for(server)[PROXY_AUTHORIZATION], "Basic bWU6aHVzaA==");
    assert!(!format!("{proxy:?}").contains("hush"), "{proxy:?}");
}

#[test]
fn a_proxy_that_is_configured_is_asked_about_this_machine_too() {
    let yaml = ProxyYaml {
        proxy_url: Some(Secret::from("http://proxy.example".to_owned())),
        ..ProxyYaml::default()
    };
    let proxy = Proxy::try_new(yaml).unwrap().unwrap();
    assert_eq!(of(&proxy, "http://localhost:9090").unwrap(), "http://proxy.example/");
}
