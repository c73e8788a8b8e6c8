//! The command line of Doorward. Empty: it arrives with a gateway that can serve a call.
