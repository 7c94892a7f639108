//! An operator's shell in a checkout of this repository, with kubectl, helm, nginx and edgectl.

use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use e2e::{ADMIN, KubeApiServer, Nginx, built, repository, tool};
use tempfile::TempDir;

/// Where the commands of a runbook are typed. Nothing schedules pods in its cluster, so a wait for them would never end: `kubectl rollout status` shows the
/// Deployment instead.
pub(crate) struct OperatorShell {
    folder: TempDir,
    /// In front of the edge.
    pub(crate) nginx: Nginx,
    /// The cluster.
    pub(crate) server: KubeApiServer,
}

impl OperatorShell {
    pub(crate) fn new(nginx: Nginx) -> Self {
        let server = KubeApiServer::start(&[]);
        server.namespace("mimir");
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = |name: &str| folder.path().join(name);
        for name in ["programs", "ops", "etc", "home"] {
            fs::create_dir(path(name)).expect("a folder can be made");
        }
        let link = |target: &Path, name: &str| symlink(target, path(name)).expect("a link can be made");
        link(&repository().join("charts"), "charts");
        link(nginx.folder(), "ops/nginx");
        link(&tool("helm"), "programs/helm");
        link(&built("edgectl"), "programs/edgectl");
        let script = |name: &str, text: String| {
            let file = path("programs").join(name);
            fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("a file can be written");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("a file can be made a program");
        };
        let (kubectl, real_nginx) = (tool("kubectl").display().to_string(), tool("nginx").display().to_string());
        script(
            "kubectl",
            format!("case \"$1 $2\" in 'rollout status') shift 2; set -- get \"$@\" ;; esac\nexec {kubectl} \"$@\""),
        );
        let place = nginx.folder().display();
        script("nginx", format!("exec {real_nginx} -p {place} -c {place}/nginx.conf \"$@\""));
        Self { folder, nginx, server }
    }

    /// Types a block of commands; NGINX's files are where this NGINX has them. It takes a reload over a moment after the command.
    #[track_caller]
    pub(crate) fn run(&self, block: &str) -> String {
        if block.contains("nginx -s reload") {
            self.nginx.reloaded_by(|| self.type_in(block))
        } else {
            self.type_in(block)
        }
    }

    /// Types a block of commands, and waits for nothing but them.
    #[track_caller]
    pub(crate) fn type_in(&self, block: &str) -> String {
        let folder = self.folder.path();
        let nginx = |name: &str| self.nginx.folder().join(name).display().to_string();
        let block = block.replace("/etc/nginx/nginx.conf", &nginx("nginx.conf")).replace("/etc/nginx/", "etc/");
        let block = block.replace("/run/nginx.pid", &nginx("nginx.pid")).replace("/var/log/nginx/", &nginx(""));
        let path = env::var("PATH").unwrap_or_default();
        let output = Command::new("bash")
            .args(["-eu", "-o", "pipefail", "-c", &block])
            .current_dir(folder)
            .env("PATH", format!("{}:{path}", folder.join("programs").display()))
            .env("KUBECONFIG", self.server.kubeconfig(ADMIN))
            .env("HOME", folder.join("home"))
            .env_remove("HELM_CACHE_HOME")
            .env_remove("HELM_CONFIG_HOME")
            .env_remove("HELM_DATA_HOME")
            .output()
            .expect("bash can be started");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{block}\n{}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }
}
