//! Fields that are accepted and do nothing here: an operator who brings a file along from kube-proxy is told once
//! which parts of it have no effect. A field at its default is not worth a word.

use super::defaults::{CONFIG_SYNC_PERIOD, CONTENT_TYPE, MASQUERADE_BIT, SYNC_PERIOD};
use super::duration::GoDuration;
use super::file::{ClientConnection, File, Iptables, Ipvs, Logging, Nftables};
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

    /// A value other than its default.
    fn value<T: PartialEq>(&mut self, name: &str, value: Option<T>, default: T) {
        self.note(name, value.is_some_and(|value| value != default));
    }

    fn text(&mut self, name: &str, value: Option<&String>, default: &str) {
        self.value(name, value.map(String::as_str), default);
    }

    /// Unset is as good as kube-proxy's second.
    fn min_sync_period(&mut self, name: &str, value: Option<GoDuration>) {
        self.note(name, value.is_some_and(|v| v != GoDuration::ZERO && v != GoDuration::seconds(1)));
    }
}

/// The paths of all fields of a complete file that are set and do nothing, in the order of reference §15.2.
pub(super) fn not_in_effect(file: &File, mode: Mode) -> Vec<String> {
    let mut set = Set::default();
    set.0.extend(gates::without_effect(file));
    client_connection(&mut set, &file.client_connection.clone().unwrap_or_default());
    logging(&mut set, &file.logging.clone().unwrap_or_default());
    set.text("showHiddenMetricsForVersion", file.show_hidden_metrics_for_version.as_ref(), "");
    let section = file.iptables.clone().unwrap_or_default();
    if mode == Mode::Nftables {
        iptables(&mut set, &section);
    }
    if mode != Mode::Iptables {
        iptables_periods(&mut set, &section);
    }
    if mode != Mode::Ipvs {
        ipvs(&mut set, &file.ipvs.clone().unwrap_or_default());
    }
    if mode != Mode::Nftables {
        nftables(&mut set, &file.nftables.clone().unwrap_or_default());
    }
    set.value("configSyncPeriod", file.config_sync_period, CONFIG_SYNC_PERIOD);
    set.0
}

fn client_connection(set: &mut Set, client: &ClientConnection) {
    set.text("clientConnection.contentType", client.content_type.as_ref(), CONTENT_TYPE);
    set.text("clientConnection.acceptContentTypes", client.accept_content_types.as_ref(), "");
}

fn logging(set: &mut Set, logging: &Logging) {
    let options = logging.options.clone().unwrap_or_default();
    let is_set = [options.text, options.json].into_iter().flatten().any(|output| {
        output.split_stream == Some(true) || output.info_buffer_size.is_some_and(|size| !size.is_zero())
    });
    set.note("logging.options", is_set);
}

fn iptables(set: &mut Set, section: &Iptables) {
    set.value("iptables.masqueradeBit", section.masquerade_bit, MASQUERADE_BIT);
    set.value("iptables.masqueradeAll", section.masquerade_all, false);
}

/// IPVS mode has its own, and masquerades as `iptables` says.
fn iptables_periods(set: &mut Set, section: &Iptables) {
    set.value("iptables.syncPeriod", section.sync_period, SYNC_PERIOD);
    set.min_sync_period("iptables.minSyncPeriod", section.min_sync_period);
}

fn nftables(set: &mut Set, section: &Nftables) {
    set.value("nftables.masqueradeBit", section.masquerade_bit, MASQUERADE_BIT);
    set.value("nftables.masqueradeAll", section.masquerade_all, false);
    set.value("nftables.syncPeriod", section.sync_period, SYNC_PERIOD);
    set.min_sync_period("nftables.minSyncPeriod", section.min_sync_period);
}

fn ipvs(set: &mut Set, section: &Ipvs) {
    set.value("ipvs.syncPeriod", section.sync_period, SYNC_PERIOD);
    set.min_sync_period("ipvs.minSyncPeriod", section.min_sync_period);
    set.text("ipvs.scheduler", section.scheduler.as_ref(), "");
    set.note("ipvs.excludeCIDRs", section.exclude_cidrs.as_ref().is_some_and(|list| !list.is_empty()));
    set.value("ipvs.strictARP", section.strict_arp, false);
    set.value("ipvs.tcpTimeout", section.tcp_timeout, GoDuration::ZERO);
    set.value("ipvs.tcpFinTimeout", section.tcp_fin_timeout, GoDuration::ZERO);
    set.value("ipvs.udpTimeout", section.udp_timeout, GoDuration::ZERO);
}

/// What IPVS mode has no use for, though kube-proxy's has: why, of each field that is set.
pub(super) fn needless_with_ipvs(file: &File) -> Vec<&'static str> {
    let section = file.ipvs.clone().unwrap_or_default();
    let excludes = section.exclude_cidrs.is_some_and(|list| !list.is_empty());
    let strict = section.strict_arp == Some(true);
    let excludes = excludes.then_some(
        "ipvs.excludeCIDRs has nothing to exclude: of all virtual servers only those of our own marks (--ipvs-mark) \
         are touched, whatever their addresses",
    );
    let strict = strict.then_some(
        "ipvs.strictARP has nothing to guard: no service address is on any device, so this node answers ARP for none; \
         arp_ignore and arp_announce stay as they are",
    );
    excludes.into_iter().chain(strict).collect()
}
