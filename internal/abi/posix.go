package abi

// MqAttr is struct mq_attr. Flags holds O_NONBLOCK or nothing.
type MqAttr struct{ Flags, MaxMsg, MsgSize, CurMsgs int }
