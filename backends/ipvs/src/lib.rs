//! The service table as virtual servers of IPVS, which packets reach by their mark.
