package inspect

import "io"

func message(src io.ReaderAt, size int64) (*Report, error) { return nil, ErrUnknown }
func cmsReport(r io.Reader) (*Report, error)                { return nil, ErrUnknown }
