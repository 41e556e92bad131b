//! kube-proxy's command line (reference §15.1, §15.2): what every flag is called, how its value is written, and
//! which field of the configuration it is. Flags become a [`File`], the same that a configuration file is decoded
//! into, so that defaults, checks and effects are the file's. What programs read the words of a command line with
//! is not decided here.

mod table;
mod value;

use std::path::PathBuf;

use kube_verdict_nftables::layout::Marks;
use kube_verdict_table::net::parse_ip;

use self::table::FLAGS;
pub use self::table::{Flag, Group};
use super::duration::GoDuration;
use super::file::{
    ClientConnection, Conntrack, DetectLocalNames, File, Iptables, Ipvs, Logging, OutputOptions,
};
use super::mode::Mode;
use super::state::State;

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--hostname-override`, which goes before the file's
    pub hostname_override: Option<String>,
    /// `--master`
    pub master: Option<String>,
    /// `--write-config-to`
    pub write_config_to: Option<PathBuf>,
    /// `--cleanup`
    pub cleanup: bool,
    /// `--init-only`
    pub init_only: bool,
    /// `--version`, or one of its spellings: `true`, `raw`, `v1.2.3`
    pub version: Option<String>,
    /// `--service-proxy-name`, which kube-proxy does not have
    pub service_proxy_name: Option<String>,
    /// `--ipvs-mark`, which kube-proxy does not have
    pub ipvs_marks: Option<Marks>,
    /// `--state-dir` and `--state-max-age`, which kube-proxy does not have
    pub state: Option<State>,
    /// `--own-tables`, which kube-proxy does not have
    pub own_tables: bool,
    /// a directory of manifests is served, and not a cluster
    pub standalone: bool,
    /// what the configuration file may be told instead
    file: File,
    /// what goes before the file's `logging`
    logging: Logging,
    masquerade_all: Option<bool>,
    sync_period: Option<GoDuration>,
    min_sync_period: Option<GoDuration>,
    healthz_port: Option<i32>,
    metrics_port: Option<i32>,
    /// the name and the text of every flag that was given, in the table's order
    given: Vec<(&'static str, String)>,
}

/// Every flag, in the order in which `--help` shows them.
pub fn all() -> &'static [Flag] {
    FLAGS
}

impl Flags {
    /// Takes a flag that was given.
    ///
    /// # Errors
    /// What is wrong with its value.
    pub fn set(&mut self, flag: &'static Flag, text: &str) -> Result<(), String> {
        flag.set.apply(self, text)?;
        match self.given.iter_mut().find(|(name, _)| *name == flag.name) {
            Some((_, texts)) if flag.accumulates() => *texts = format!("{texts},{text}"),
            Some((_, texts)) => text.clone_into(texts),
            None => self.given.push((flag.name, text.to_owned())),
        }
        Ok(())
    }

    /// What the flags alone say of the log.
    pub fn logging(&self) -> super::Logging {
        super::Logging::of(&File { logging: Some(self.logging.clone()), ..File::default() })
    }

    /// The flags as a file, but for those that [`Flags::over`] adds. `masquerade-all` and the sync periods belong to the section of the mode.
    pub(super) fn file(&self) -> File {
        let mut file = self.file.clone();
        let mode = match file.mode.as_deref().unwrap_or_default() {
            "" if self.standalone => Some(Mode::Nftables),
            text => Mode::parse(text),
        };
        let (all, sync, min) = (self.masquerade_all, self.sync_period, self.min_sync_period);
        if mode == Some(Mode::Nftables) {
            let section = file.nftables.get_or_insert_default();
            section.masquerade_all = all;
            (section.sync_period, section.min_sync_period) = (sync, min);
        } else {
            let section = file.iptables.get_or_insert_default();
            section.masquerade_all = all;
            (section.sync_period, section.min_sync_period) = (sync, min);
        }
        for (port, address) in [
            (self.healthz_port, &mut file.healthz_bind_address),
            (self.metrics_port, &mut file.metrics_bind_address),
        ] {
            if let Some(port) = port {
                *address = with_port(address.take(), port);
            }
        }
        file
    }

    /// The file's settings with those of the flags that go before it.
    pub(super) fn over(&self, mut file: File) -> File {
        let from = file.logging.take().unwrap_or_default();
        let flags = self.logging.clone();
        let options = |from: Option<super::file::LoggingOptions>| from.unwrap_or_default();
        let (theirs, ours) = (options(from.options), options(flags.options));
        let output = |ours: Option<OutputOptions>, theirs: Option<OutputOptions>| {
            let (ours, theirs) = (ours.unwrap_or_default(), theirs.unwrap_or_default());
            Some(OutputOptions {
                // kube-proxy's flag writes its default over the file's word on it before anybody reads that.
                split_stream: ours.split_stream,
                info_buffer_size: ours.info_buffer_size.or(theirs.info_buffer_size),
            })
        };
        let vmodule = flags.vmodule.into_iter().chain(from.vmodule).flatten().collect();
        file.logging = Some(Logging {
            format: flags.format.or(from.format),
            verbosity: flags.verbosity.or(from.verbosity),
            flush_frequency: flags.flush_frequency.or(from.flush_frequency),
            vmodule: Some(vmodule),
            options: Some(super::file::LoggingOptions {
                text: output(ours.text, theirs.text),
                json: output(ours.json, theirs.json),
            }),
        });
        if let Some(name) = &self.hostname_override {
            file.hostname_override = Some(name.trim().to_lowercase());
        }
        file
    }

    /// The flags that were given and that a configuration file makes void.
    pub(super) fn void_with_file(&self) -> Vec<String> {
        let is_void = |name: &str| FLAGS.iter().any(|flag| flag.name == name && !flag.is_beside_file);
        self.given.iter().filter(|(name, _)| is_void(name)).map(|(name, _)| format!("--{name}")).collect()
    }

    /// The flags that were given and that have no effect whatever happens, with the reason.
    pub(super) fn deprecated(&self) -> Vec<String> {
        let given = |wanted: &str| self.given.iter().any(|(name, _)| *name == wanted);
        [("healthz-port", "healthz-bind-address"), ("metrics-port", "metrics-bind-address")]
            .into_iter()
            .filter(|(old, _)| given(old))
            .map(|(old, new)| format!("--{old} is deprecated: use --{new}"))
            .collect()
    }

    /// Every flag with its value as Go's programs write it, by name: what `/flagz` shows.
    pub fn flagz(&self) -> Vec<(String, String)> {
        let value = |flag: &Flag| {
            let given = self.given.iter().find(|(name, _)| *name == flag.name);
            let text = given.map_or(flag.default, |(_, text)| text.as_str());
            if flag.is_list() { format!("[{text}]") } else { text.to_owned() }
        };
        let mut flags: Vec<_> = FLAGS.iter().map(|flag| (flag.name.to_owned(), value(flag))).collect();
        flags.sort();
        flags
    }

    fn client(&mut self) -> &mut ClientConnection {
        self.file.client_connection.get_or_insert_default()
    }

    fn iptables(&mut self) -> &mut Iptables {
        self.file.iptables.get_or_insert_default()
    }

    fn ipvs(&mut self) -> &mut Ipvs {
        self.file.ipvs.get_or_insert_default()
    }

    fn detect_local(&mut self) -> &mut DetectLocalNames {
        self.file.detect_local.get_or_insert_default()
    }

    fn conntrack(&mut self) -> &mut Conntrack {
        self.file.conntrack.get_or_insert_default()
    }

    fn text_output(&mut self) -> &mut OutputOptions {
        self.logging.options.get_or_insert_default().text.get_or_insert_default()
    }

    fn json_output(&mut self) -> &mut OutputOptions {
        self.logging.options.get_or_insert_default().json.get_or_insert_default()
    }
}

/// An address as the deprecated flags make it: port 0 turns the server off, another one is the port of an
/// address that was given without. It does not move the default address: kube-proxy's does not, either.
fn with_port(address: Option<String>, port: i32) -> Option<String> {
    if port == 0 {
        return Some(String::new());
    }
    address.map(|text| match parse_ip(&text) {
        Some(ip) if ip.is_ipv6() => format!("[{ip}]:{port}"),
        Some(ip) => format!("{ip}:{port}"),
        None => text,
    })
}
