package kinesisapi

import "github.com/shardmill/shardmill/engine"

// kms is the encryption type of streams with a key.
const kms = "KMS"

func checkEncryption(kind string) error {
	if kind != kms {
		return invalidArgument("EncryptionType " + kind + " is invalid. The only valid encryption type is " + kms + ".")
	}
	return nil
}

// encryptionType is what replies to puts say: nothing where a stream has no key.
func encryptionType(info *engine.StreamInfo) string {
	if info.Settings.KeyID != "" {
		return kms
	}
	return ""
}

// withEncryption adds the encryption type to a reply's JSON object that is complete.
func withEncryption(dst []byte, info *engine.StreamInfo) []byte {
	if info.Settings.KeyID == "" {
		return dst
	}
	return append(dst[:len(dst)-1], `,"EncryptionType":"`+kms+`"}`...)
}

// describedEncryption is what describe operations say.
func describedEncryption(info *engine.StreamInfo) string {
	if info.Settings.KeyID != "" {
		return kms
	}
	return "NONE"
}
