use super::*;

fn config(yaml: &str) -> Result<FileConfig, String> {
    serde_yaml_ng::from_str(yaml).map_err(|error| error.to_string())
}

#[test]
fn patterns_are_prometheus_own() {
    #[track_caller]
    fn check(files: &str, expect: Result<(), &str>) {
        let read = config(&format!("files: {files}")).map(|_| ());
        assert_eq!(
            read.as_ref().map_err(String::as_str),
            expect.as_ref().map_err(|e| *e),
            "{files}"
        );
    }
    check("[a.json, b/c.yml, 'd/*.yaml', '*.YML', 'x*y.JSON']", Ok(()));
    let none = "file service discovery config must contain at least one path name";
    check("[]", Err(none));
    for bad in ["a.txt", "a", "*/a.json", "*a*.json", "a.Json"] {
        let expect = format!("path name {bad:?} is not valid for file discovery");
        check(&format!("['{bad}']"), Err(&expect));
    }
    assert!(config("files: [a.json]\nrefresh_interval: 0s").unwrap_err().contains("more than 0"));
    assert!(config("file: [a.json]").unwrap_err().contains("unknown field `file`"));
}

/// Looks, and tells `source labels` of each group, and each error.
fn look(files: &mut Files, directory: &Path, patterns: &[&str], interval: Duration) -> String {
    let mut config = FileConfig {
        patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
        refresh_interval: interval,
    };
    config.set_directory(directory);
    let look = files.look(&config.patterns, config.refresh_interval);
    let mut shown: Vec<String> = files.groups().iter().map(show).collect();
    shown.extend(look.errors.iter().map(|(_, error)| format!("error: {error}")));
    shown.push(format!("changed: {}", look.changed));
    shown.join("; ").replace(&directory.display().to_string(), "D")
}

fn show(group: &TargetGroup) -> String {
    format!("{} {:?}", group.source, group.targets)
}

/// As careful writers do it: the file appears whole.
fn put(directory: &Path, name: &str, text: &str) {
    let temporary = directory.join("new");
    fs::write(&temporary, text).unwrap();
    fs::rename(temporary, directory.join(name)).unwrap();
}

#[test]
fn files_are_followed_as_they_change_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let (directory, mut files, hour) =
        (directory.path(), Files::default(), Duration::from_secs(3600));
    let mut look = |patterns: &[&str]| look(&mut files, directory, patterns, hour);
    assert_eq!(look(&["a.yml", "*.json"]), "changed: true");
    assert_eq!(look(&["a.yml", "*.json"]), "changed: false");

    put(directory, "a.yml", "[{targets: ['a:1']}]");
    put(directory, "b.json", r#"[{"targets": ["b:1"]}, {"targets": ["b:2"]}]"#);
    let both = r#"D/a.yml:0 [{__address__="a:1"}]; D/b.json:0 [{__address__="b:1"}]; D/b.json:1 [{__address__="b:2"}]"#;
    assert_eq!(look(&["a.yml", "*.json"]), format!("{both}; changed: true"));
    assert_eq!(look(&["a.yml", "*.json"]), format!("{both}; changed: false"));

    put(directory, "b.json", r#"[{"targets": ["b:3"]}]"#); // of another length
    put(directory, "a.yml", "[{targets: ['a:2']}]"); // of the same
    let changed = r#"D/a.yml:0 [{__address__="a:2"}]; D/b.json:0 [{__address__="b:3"}]"#;
    assert_eq!(look(&["a.yml", "*.json"]), format!("{changed}; changed: true"));

    fs::remove_file(directory.join("b.json")).unwrap();
    let rest = r#"D/a.yml:0 [{__address__="a:2"}]"#;
    assert_eq!(look(&["a.yml", "*.json"]), format!("{rest}; changed: true"));
}

#[test]
fn a_bad_file_keeps_what_it_had() {
    let directory = tempfile::tempdir().unwrap();
    let (directory, mut files) = (directory.path(), Files::default());
    let hour = Duration::from_secs(3600);
    put(directory, "a.json", r#"[{"targets": ["a:1"]}]"#);
    look(&mut files, directory, &["a.json"], hour);

    put(directory, "a.json", r#"[{"targets": "a:1"}]"#);
    let kept = r#"D/a.json:0 [{__address__="a:1"}]"#;
    let shown = look(&mut files, directory, &["a.json"], hour);
    assert!(shown.starts_with(&format!("{kept}; error: invalid type: string")), "{shown}");
    // it is not told again and again, but tried again when that is due
    assert_eq!(look(&mut files, directory, &["a.json"], hour), format!("{kept}; changed: false"));
    let shown = look(&mut files, directory, &["a.json"], Duration::ZERO);
    assert!(shown.contains("error: invalid type"), "{shown}");
}

#[test]
fn a_link_that_leads_elsewhere_is_another_file() {
    let directory = tempfile::tempdir().unwrap();
    let (directory, mut files) = (directory.path(), Files::default());
    for (version, address) in [("v1", "a:1"), ("v2", "a:2")] {
        fs::create_dir(directory.join(version)).unwrap();
        put(directory, &format!("{version}/t.yml"), &format!("[{{targets: ['{address}']}}]"));
    }
    // as the kubelet mounts a ConfigMap: the file through a link to a directory that is replaced
    let lead = |version: &str| {
        std::os::unix::fs::symlink(version, directory.join("next")).unwrap();
        fs::rename(directory.join("next"), directory.join("data")).unwrap();
    };
    let hour = Duration::from_secs(3600);
    lead("v1");
    assert!(look(&mut files, directory, &["data/*.yml"], hour).contains("a:1"));
    lead("v2");
    assert!(look(&mut files, directory, &["data/*.yml"], hour).contains("a:2"));
}
