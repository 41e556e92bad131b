//! Fields that are accepted and not in effect yet: an operator who brings a file along from kube-proxy is told
//! once which parts of it do nothing here. A field at its default is not worth a word.

use super::duration::GoDuration;
use super::effective::{DEFAULT_MASQUERADE_BIT, DEFAULT_SYNC_PERIOD};
use super::file::{ClientConnection, Conntrack, File, Iptables, Ipvs, Logging, Nftables};
use super::gates;
use super::mode::Mode;

/// Collects names of fields that hold something other than a default.
#[derive(Default)]
struct Set(Vec<String>);

impl Set {
    fn note(&mut self, name: &str, is_set: bool) {
        if is_set {
            self.0.push(name.to_owned());
        }
    }

    /// A value that is neither absent nor one of the spellings of its default.
    fn value<T: PartialEq>(&mut self, name: &str, value: Option<T>, defaults: &[T]) {
        self.note(name, value.is_some_and(|value| !defaults.contains(&value)));
    }

    fn text(&mut self, name: &str, value: Option<&String>, default: &str) {
        self.value(name, value.map(String::as_str), &["", default]);
    }

    fn duration(&mut self, name: &str, value: Option<GoDuration>, default: GoDuration) {
        self.value(name, value, &[GoDuration::ZERO, default]);
    }
}

/// The paths of all fields that are set and do nothing, in the order of reference §15.2.
pub(super) fn not_in_effect(file: &File, mode: Mode) -> Vec<String> {
    let mut set = Set::default();
    set.0.extend(gates::without_effect(file));
    client_connection(&mut set, &file.client_connection.clone().unwrap_or_default());
    logging(&mut set, &file.logging.clone().unwrap_or_default());
    serving(&mut set, file);
    if mode != Mode::Iptables {
        iptables(&mut set, &file.iptables.clone().unwrap_or_default());
    }
    ipvs(&mut set, &file.ipvs.clone().unwrap_or_default());
    if mode == Mode::Iptables {
        let localhost = file.iptables.as_ref().and_then(|section| section.localhost_node_ports);
        set.note("iptables.localhostNodePorts", localhost == Some(true));
        nftables(&mut set, &file.nftables.clone().unwrap_or_default());
    }
    set.value("oomScoreAdj", file.oom_score_adj, &[-999]);
    conntrack(&mut set, &file.conntrack.clone().unwrap_or_default());
    set.duration("configSyncPeriod", file.config_sync_period, GoDuration::seconds(900));
    set.0
}

fn client_connection(set: &mut Set, client: &ClientConnection) {
    let protobuf = "application/vnd.kubernetes.protobuf";
    set.text("clientConnection.contentType", client.content_type.as_ref(), protobuf);
    set.text("clientConnection.acceptContentTypes", client.accept_content_types.as_ref(), "");
}

fn logging(set: &mut Set, logging: &Logging) {
    set.note("logging.vmodule", logging.vmodule.as_ref().is_some_and(|list| !list.is_empty()));
    set.note("logging.options", logging.options.as_ref().is_some_and(|o| *o != Default::default()));
}

fn serving(set: &mut Set, file: &File) {
    let healthz = file.healthz_bind_address.as_deref();
    set.value("healthzBindAddress", healthz, &["", "0.0.0.0:10256", "[::]:10256", "0.0.0.0", "::"]);
    let metrics = file.metrics_bind_address.as_deref();
    set.value("metricsBindAddress", metrics, &["", "127.0.0.1:10249", "[::1]:10249", "127.0.0.1", "::1"]);
    set.note("bindAddressHardFail", file.bind_address_hard_fail == Some(true));
    set.note("enableProfiling", file.enable_profiling == Some(true));
    set.text("showHiddenMetricsForVersion", file.show_hidden_metrics_for_version.as_ref(), "");
}

fn iptables(set: &mut Set, section: &Iptables) {
    set.value("iptables.masqueradeBit", section.masquerade_bit, &[DEFAULT_MASQUERADE_BIT]);
    set.note("iptables.masqueradeAll", section.masquerade_all == Some(true));
    set.duration("iptables.syncPeriod", section.sync_period, DEFAULT_SYNC_PERIOD);
    set.duration("iptables.minSyncPeriod", section.min_sync_period, GoDuration::seconds(1));
}

fn nftables(set: &mut Set, section: &Nftables) {
    set.value("nftables.masqueradeBit", section.masquerade_bit, &[DEFAULT_MASQUERADE_BIT]);
    set.note("nftables.masqueradeAll", section.masquerade_all == Some(true));
    set.duration("nftables.syncPeriod", section.sync_period, DEFAULT_SYNC_PERIOD);
    set.duration("nftables.minSyncPeriod", section.min_sync_period, GoDuration::seconds(1));
}

fn ipvs(set: &mut Set, section: &Ipvs) {
    set.duration("ipvs.syncPeriod", section.sync_period, DEFAULT_SYNC_PERIOD);
    set.duration("ipvs.minSyncPeriod", section.min_sync_period, GoDuration::seconds(1));
    set.text("ipvs.scheduler", section.scheduler.as_ref(), "");
    set.note("ipvs.excludeCIDRs", section.exclude_cidrs.as_ref().is_some_and(|list| !list.is_empty()));
    set.note("ipvs.strictARP", section.strict_arp == Some(true));
    set.duration("ipvs.tcpTimeout", section.tcp_timeout, GoDuration::ZERO);
    set.duration("ipvs.tcpFinTimeout", section.tcp_fin_timeout, GoDuration::ZERO);
    set.duration("ipvs.udpTimeout", section.udp_timeout, GoDuration::ZERO);
}

/// Zero is not a default here: it is how a file says "leave the kernel's value".
fn conntrack(set: &mut Set, conntrack: &Conntrack) {
    set.value("conntrack.maxPerCore", conntrack.max_per_core, &[32_768]);
    set.value("conntrack.min", conntrack.min, &[131_072]);
    let day = GoDuration::seconds(86_400);
    set.value("conntrack.tcpEstablishedTimeout", conntrack.tcp_established_timeout, &[day]);
    let hour = GoDuration::seconds(3_600);
    set.value("conntrack.tcpCloseWaitTimeout", conntrack.tcp_close_wait_timeout, &[hour]);
    set.note("conntrack.tcpBeLiberal", conntrack.tcp_be_liberal == Some(true));
    set.duration("conntrack.udpTimeout", conntrack.udp_timeout, GoDuration::ZERO);
    set.duration("conntrack.udpStreamTimeout", conntrack.udp_stream_timeout, GoDuration::ZERO);
}
