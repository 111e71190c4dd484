// Package secure decides how processes of a cluster trust each other.
//
// There are two modes, and nothing between them:
//
//	mutual TLS  every connection is TLS 1.3 and both sides show a certificate
//	            signed by the cluster's own authority (CA)
//	plain       no encryption; only a loopback address may be listened on,
//	            unless the user says Insecure
//
// # Files
//
// GenerateCA and Issue make what mutual TLS needs, in one directory:
//
//	ca.pem      the authority's certificate: every machine needs it
//	ca-key.pem  signs certificates: stays on the machine that made it
//	NAME.pem    certificate of the process NAME, with the hosts it answers on
//	NAME-key.pem  its private key
//
// A certificate of the authority admits its bearer to the whole cluster, as
// server and as client; there are no roles.
package secure
