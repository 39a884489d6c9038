use super::*;

fn check(call: &str, command: &str, sets: &str) {
    let argv: Vec<String> = call.split(' ').map(str::to_string).collect();
    let (row, style) = wrapper(&argv[0], false).unwrap();
    let wrapped = parse(row, style, &argv);
    assert_eq!((wrapped.command.join(" ").as_str(), wrapped.sets.join(" ").as_str()), (command, sets), "{call}");
}

#[test]
fn the_command_begins_after_the_options_and_their_values() {
    check("tini -g -p SIGTERM -- /app -x", "/app -x", "");
    check("tini /app", "/app", "");
    check("dumb-init -r 15:2 app", "app", "");
    check("env A=1 B=2 app C=3", "app C=3", "A=1 B=2");
    check("env -i -u X app", "app", "");
    check("timeout -s KILL -k 5 30 app -k", "app -k", "");
    check("su-exec node:node app", "app", "");
    check("nice -n 5 nohup app", "nohup app", "");
    check("setpriv --reuid=1 --regid 2 app", "app", "");
    check("flock -w 5 /run/lock app", "app", "");
    check("chroot / app -x", "app -x", "");
    check("unshare -m --map-user 0 app", "app", "");
    check("taskset -c 0 chrt -o 0 app", "chrt -o 0 app", "");
}

#[test]
fn env_splits_the_one_argument_that_a_shebang_can_have() {
    let argv = ["env", "-S node --trace A=1", "/app.js"].map(str::to_string);
    let (row, style) = wrapper("env", false).unwrap();
    assert_eq!(parse(row, style, &argv).command, ["node", "--trace", "A=1", "/app.js"]);
    let argv = ["env", "-iuX", "-iS node", "/app.js"].map(str::to_string);
    let wrapped = parse(row, style, &argv);
    assert_eq!(
        (wrapped.command, wrapped.unsets, wrapped.clears),
        (vec!["node".into(), "/app.js".into()], vec!["X".into()], true)
    );
}
