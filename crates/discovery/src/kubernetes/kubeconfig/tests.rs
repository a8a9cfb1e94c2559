use super::*;

const CLUSTERS: &str = "
apiVersion: v1
kind: Config
clusters:
- name: meta
  cluster: {server: 'http://meta:6443'}
- name: bare
  cluster: {}
- name: odd
  cluster: {server: 'meta:host:port'}
users:
- name: token
  user: {token: hush}
- name: file
  user: {tokenFile: sub/token, token: hush}
- name: basic
  user: {username: me, password: hush}
- name: certificate
  user: {client-certificate-data: UEVN, client-key: sub/key}
- name: garbled
  user: {client-certificate-data: '*'}
- name: nobody
  user: {}
- name: program
  user: {exec: {command: aws}}
- name: old
  user: {auth-provider: {name: gcp}}
";

fn read(cluster: &str, user: &str) -> Result<ApiServerConfig, String> {
    let context = format!("contexts: [{{name: c, context: {{cluster: {cluster}, user: {user}}}}}]");
    let text = format!("{CLUSTERS}{context}\ncurrent-context: c\n");
    parse(&text, Path::new("/etc/meta")).map_err(|error| error.to_string())
}

#[test]
fn a_user_is_who_the_current_context_says() {
    #[track_caller]
    fn check(user: &str, expect: &str) {
        let server = read("meta", user).unwrap();
        assert_eq!(server.url.as_str(), "http://meta:6443/");
        let shown = format!("{:?}", server.http);
        assert!(shown.contains(expect) && !shown.contains("hush"), "{user}: {shown}");
    }
    check("token", "<secret>");
    check("file", "/etc/meta/sub/token");
    check("basic", "me");
    check("certificate", "/etc/meta/sub/key");
    check("nobody", "None");
}

#[test]
fn what_cannot_be_used_is_named() {
    #[track_caller]
    fn check(cluster: &str, user: &str, expect: &str) {
        let error = read(cluster, user).unwrap_err();
        assert!(error.contains(expect), "{cluster} {user}: {error}");
    }
    check("gone", "token", r#"there is no cluster "gone""#);
    check("meta", "gone", r#"there is no user "gone""#);
    check("bare", "token", r#"cluster "bare" has no server"#);
    check("odd", "token", r#"cluster "odd": "meta:host:port""#);
    check("meta", "program", r#"user "program": exec is not supported"#);
    check("meta", "old", r#"user "old": auth-provider is not supported"#);
    check("meta", "garbled", "the data of the cert is not base64 of text");
    let bare = parse(CLUSTERS, Path::new("")).unwrap_err().to_string();
    assert_eq!(bare, "current-context is not set");
    let other = parse(&format!("{CLUSTERS}current-context: x"), Path::new(""));
    assert_eq!(other.unwrap_err().to_string(), r#"there is no context "x""#);
    assert!(parse("[", Path::new("")).is_err());
}
