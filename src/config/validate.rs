//! What no configuration may say (reference §15.4). Everything that is wrong is collected, so that an operator
//! mends a file once.

use kube_verdict_nftables::layout::Marks;
use kube_verdict_table::net::parse_ip;
use kube_verdict_table::{Cidr, NodePortEntry};

use super::duration::GoDuration;
use super::effective::Shared;
use super::error::FieldError;
use super::file::{Conntrack, File, Logging, Quantity};
use super::mode::Mode;
use super::serving::listen_address;
use super::{detect, gates, upstream};
use crate::document::Node;

/// Collects errors and where their fields stand.
struct Errors<'d> {
    root: Option<&'d Node<'d>>,
    found: Vec<FieldError>,
}

impl Errors<'_> {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        let field = field.into();
        let at = self.root.map(|root| (root.locate(&field), root.at));
        let at = at.filter(|(at, start)| at != start).map(|(at, _)| at);
        self.found.push(FieldError { field, at, message: message.into() });
    }

    fn require(&mut self, good: bool, field: impl Into<String>, message: impl FnOnce() -> String) {
        if !good {
            self.add(field, message());
        }
    }
}

/// Every impossible field of a complete file. `root` is the file's document, to say where; `marks` are IPVS's.
pub(super) fn validate(file: &File, root: Option<&Node<'_>>, marks: Marks) -> Vec<FieldError> {
    let mut errors = Errors { root, found: Vec::new() };
    feature_gates(&mut errors, file);
    client_connection(&mut errors, file);
    logging(&mut errors, file);
    addresses(&mut errors, file);
    let mode = mode(&mut errors, file);
    masquerade_bits(&mut errors, file, mode, marks);
    periods(&mut errors, file, mode);
    ipvs(&mut errors, file, mode);
    detect_local(&mut errors, file);
    node_port_addresses(&mut errors, file);
    limits(&mut errors, file);
    conntrack(&mut errors, &file.conntrack.clone().unwrap_or_default());
    errors.found
}

fn feature_gates(errors: &mut Errors<'_>, file: &File) {
    for name in file.feature_gates.iter().flat_map(|gates| gates.keys()) {
        errors.require(gates::find(name).is_some(), format!("featureGates.{name}"), || {
            "no such feature gate is known; remove it, or check its spelling".into()
        });
    }
}

fn client_connection(errors: &mut Errors<'_>, file: &File) {
    let burst = file.client_connection.as_ref().and_then(|client| client.burst).unwrap_or(0);
    not_negative(errors, "clientConnection.burst", burst < 0, burst);
}

fn logging(errors: &mut Errors<'_>, file: &File) {
    let Logging { format, verbosity, vmodule, flush_frequency, options } =
        file.logging.clone().unwrap_or_default();
    let format = format.unwrap_or_default();
    errors.require(matches!(&*format, "text" | "json"), "logging.format", || {
        one_of(&format, &["text", "json"])
    });
    errors.require(
        format != "json" || gates::is_on(file, gates::LOGGING_BETA_OPTIONS),
        "logging.format",
        || format!("\"json\" needs the feature gate {}", gates::LOGGING_BETA_OPTIONS),
    );
    level(errors, "logging.verbosity", verbosity.unwrap_or(0));
    let flush = flush_frequency.map(|flush| flush.duration()).unwrap_or_default();
    errors
        .require(flush > GoDuration::ZERO, "logging.flushFrequency", || format!("{flush} is not above zero"));
    let vmodule = vmodule.unwrap_or_default();
    errors.require(vmodule.is_empty() || format != "json", "logging.vmodule", || {
        "goes with the format text only".into()
    });
    for (index, module) in vmodule.iter().enumerate() {
        let pattern = module.file_pattern.as_deref().unwrap_or_default();
        let field = format!("logging.vmodule[{index}]");
        errors.require(!pattern.is_empty() && !pattern.contains(['=', ',']), &field, || {
            format!("{pattern:?} is no pattern of file names; it must not be empty or contain \"=\" or \",\"")
        });
        level(errors, &field, module.verbosity.unwrap_or(0));
    }
    let options = options.unwrap_or_default();
    for (name, output) in [("text", options.text), ("json", options.json)] {
        let field = format!("logging.options.{name}");
        let output = output.unwrap_or_default();
        let size = output.info_buffer_size.filter(|size| !size.is_zero());
        let is_valid = size.as_ref().is_none_or(Quantity::is_valid);
        errors.require(is_valid, format!("{field}.infoBufferSize"), || {
            "must be a size, such as 0 or 64Ki".into()
        });
        let is_set = output.split_stream == Some(true) || size.is_some();
        errors.require(
            !is_set || !is_valid || gates::is_on(file, gates::LOGGING_ALPHA_OPTIONS),
            field,
            || format!("needs the feature gate {}", gates::LOGGING_ALPHA_OPTIONS),
        );
    }
}

fn level(errors: &mut Errors<'_>, field: &str, level: u32) {
    errors.require(i32::try_from(level).is_ok(), field, || format!("{level} is more than {}", i32::MAX));
}

fn addresses(errors: &mut Errors<'_>, file: &File) {
    let bind = file.bind_address.as_deref().unwrap_or_default();
    errors.require(bind.is_empty() || parse_ip(bind).is_some(), "bindAddress", || {
        format!("{bind:?} is not an IP address")
    });
    let healthz = ("healthzBindAddress", &file.healthz_bind_address);
    let metrics = ("metricsBindAddress", &file.metrics_bind_address);
    for (field, value) in [healthz, metrics] {
        let value = value.as_deref().unwrap_or_default();
        errors.require(value.is_empty() || listen_address(value).is_some(), field, || {
            format!(
                "{value:?} is not an address with a port from 1 to 65535, such as 0.0.0.0:10256 or [::]:10256"
            )
        });
    }
}

fn mode(errors: &mut Errors<'_>, file: &File) -> Mode {
    let text = file.mode.as_deref().unwrap_or_default();
    let Some(mode) = Mode::parse(text) else {
        errors.add("mode", one_of(text, &["nftables", "iptables", "ipvs"]));
        return Mode::Iptables;
    };
    mode
}

fn masquerade_bits(errors: &mut Errors<'_>, file: &File, mode: Mode, marks: Marks) {
    let iptables = file.iptables.as_ref().and_then(|section| section.masquerade_bit);
    masquerade_bit(errors, "iptables.masqueradeBit", iptables);
    if mode == Mode::Nftables {
        let nftables = file.nftables.as_ref().and_then(|section| section.masquerade_bit);
        masquerade_bit(errors, "nftables.masqueradeBit", nftables);
    }
    let is_of_ipvs = |bit: i32| {
        let bit = u32::try_from(bit).ok().and_then(|bit| 1u32.checked_shl(bit));
        mode == Mode::Ipvs && bit.is_some_and(|bit| bit & marks.mask() != 0)
    };
    if let Some(bit) = iptables.filter(|bit| is_of_ipvs(*bit)) {
        let message = format!(
            "{bit} is one of the bits by which the packets of IPVS are told, {marks}: choose another one, or other \
             marks (--ipvs-mark)"
        );
        errors.add("iptables.masqueradeBit", message);
    }
}

fn masquerade_bit(errors: &mut Errors<'_>, field: &str, bit: Option<i32>) {
    if let Some(bit) = bit.filter(|bit| !(0..=31).contains(bit)) {
        errors.add(field, format!("{bit} is not within 0 to 31, the bits of a packet mark"));
    }
}

fn periods(errors: &mut Errors<'_>, file: &File, mode: Mode) {
    let (section, shared) = (mode.section(), Shared::of(file, mode));
    let sync = shared.sync_period.unwrap_or_default();
    errors.require(sync > GoDuration::ZERO, format!("{section}.syncPeriod"), || {
        format!("{sync} is not above zero")
    });
    if let Some(min) = shared.explicit_min_sync_period() {
        let field = format!("{section}.minSyncPeriod");
        not_negative(errors, &field, min.is_negative(), min);
        errors.require(min <= sync, field, || format!("{min} is more than syncPeriod, {sync}"));
    }
    let period = file.config_sync_period.unwrap_or_default();
    errors.require(period > GoDuration::ZERO, "configSyncPeriod", || format!("{period} is not above zero"));
}

fn ipvs(errors: &mut Errors<'_>, file: &File, mode: Mode) {
    let Some(section) = file.ipvs.as_ref().filter(|_| mode == Mode::Ipvs) else { return };
    for (field, timeout) in [
        ("ipvs.tcpTimeout", section.tcp_timeout),
        ("ipvs.tcpFinTimeout", section.tcp_fin_timeout),
        ("ipvs.udpTimeout", section.udp_timeout),
    ] {
        let timeout = timeout.unwrap_or_default();
        not_negative(errors, field, timeout.is_negative(), timeout);
    }
    if let Err(message) = super::ipvs::scheduler(section) {
        errors.add("ipvs.scheduler", message);
    }
    for (index, prefix) in section.exclude_cidrs.iter().flatten().enumerate() {
        if let Err(message) = prefix.parse::<Cidr>() {
            errors.add(format!("ipvs.excludeCIDRs[{index}]"), message);
        }
    }
}

fn detect_local(errors: &mut Errors<'_>, file: &File) {
    let mode = file.detect_local_mode.as_deref().unwrap_or_default();
    let names = file.detect_local.clone().unwrap_or_default();
    let is_blank = |name: Option<String>| name.unwrap_or_default().is_empty();
    match mode {
        "" | "ClusterCIDR" => cluster_cidr(errors, file.cluster_cidr.as_deref().unwrap_or_default()),
        "NodeCIDR" => {}
        "BridgeInterface" => {
            errors.require(!is_blank(names.bridge_interface), "detectLocal.bridgeInterface", || {
                "is needed in mode BridgeInterface: the bridge that this node's pods are attached to".into()
            })
        }
        "InterfaceNamePrefix" => {
            errors.require(!is_blank(names.interface_name_prefix), "detectLocal.interfaceNamePrefix", || {
                "is needed in mode InterfaceNamePrefix: how the names of this node's pod interfaces begin"
                    .into()
            });
        }
        _ => errors.add("detectLocalMode", one_of(mode, &detect::MODES)),
    }
}

fn cluster_cidr(errors: &mut Errors<'_>, text: &str) {
    let prefixes = match detect::prefixes(text) {
        Ok(prefixes) => prefixes,
        Err(message) => return errors.add("clusterCIDR", message),
    };
    let good = match prefixes.as_slice() {
        [] | [_] => true,
        [one, other] => one.family() != other.family(),
        _ => false,
    };
    errors.require(good, "clusterCIDR", || {
        format!("{text:?} is neither one prefix nor one of each IP family, separated by a comma")
    });
}

fn node_port_addresses(errors: &mut Errors<'_>, file: &File) {
    for (index, text) in file.node_port_addresses.iter().flatten().enumerate() {
        if let Err(message) = text.parse::<NodePortEntry>() {
            errors.add(format!("nodePortAddresses[{index}]"), message);
        }
    }
}

fn limits(errors: &mut Errors<'_>, file: &File) {
    if let Some(score) = file.oom_score_adj.filter(|score| !(-1000..=1000).contains(score)) {
        errors.add("oomScoreAdj", format!("{score} is not within -1000 to 1000"));
    }
    let version = file.show_hidden_metrics_for_version.as_deref().unwrap_or_default();
    errors.require(
        version.is_empty() || upstream::hides_metrics_of(version),
        "showHiddenMetricsForVersion",
        || {
            format!(
                "{version:?} is not a version whose metrics could be hidden: {}",
                upstream::PREVIOUS.join(", ")
            )
        },
    );
}

fn conntrack(errors: &mut Errors<'_>, conntrack: &Conntrack) {
    let numbers = [("conntrack.maxPerCore", conntrack.max_per_core), ("conntrack.min", conntrack.min)];
    for (field, number) in numbers {
        let number = number.unwrap_or(0);
        not_negative(errors, field, number < 0, number);
    }
    for (field, timeout) in [
        ("conntrack.tcpEstablishedTimeout", conntrack.tcp_established_timeout),
        ("conntrack.tcpCloseWaitTimeout", conntrack.tcp_close_wait_timeout),
        ("conntrack.udpTimeout", conntrack.udp_timeout),
        ("conntrack.udpStreamTimeout", conntrack.udp_stream_timeout),
    ] {
        let timeout = timeout.unwrap_or_default();
        not_negative(errors, field, timeout.is_negative(), timeout);
    }
}

fn not_negative(errors: &mut Errors<'_>, field: &str, is_negative: bool, value: impl std::fmt::Display) {
    errors.require(!is_negative, field, || format!("{value} is below zero"));
}

fn one_of(value: &str, known: &[&str]) -> String {
    format!("{value:?} is not one of {}", known.join(", "))
}
