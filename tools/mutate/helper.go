package main

// helperFile is the name of the file with the helpers, in the mutated package.
const helperFile = "zz_mutants.go"

// helpers are the operators with a fault that can be woken; those with two faults
// have the numbers id and id+1.
const helpers = `package p

import (
	mutantCmp "cmp"
	mutantOS "os"
	mutantConv "strconv"
)

var mutantAwake, _ = mutantConv.Atoi(mutantOS.Getenv("` + variable + `"))

type mutantInteger interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

type mutantNumber interface {
	mutantInteger | ~float32 | ~float64
}

func mutantLess[T mutantCmp.Ordered](id int, a, b T) bool {
	switch mutantAwake {
	case id:
		return a <= b
	case id + 1:
		return a >= b
	}
	return a < b
}

func mutantAtMost[T mutantCmp.Ordered](id int, a, b T) bool {
	switch mutantAwake {
	case id:
		return a < b
	case id + 1:
		return a > b
	}
	return a <= b
}

func mutantMore[T mutantCmp.Ordered](id int, a, b T) bool {
	switch mutantAwake {
	case id:
		return a >= b
	case id + 1:
		return a <= b
	}
	return a > b
}

func mutantAtLeast[T mutantCmp.Ordered](id int, a, b T) bool {
	switch mutantAwake {
	case id:
		return a > b
	case id + 1:
		return a < b
	}
	return a >= b
}

func mutantAdd[T mutantNumber](id int, a, b T) T {
	if mutantAwake == id {
		return a - b
	}
	return a + b
}

func mutantSubtract[T mutantNumber](id int, a, b T) T {
	if mutantAwake == id {
		return a + b
	}
	return a - b
}

func mutantMultiply[T mutantNumber](id int, a, b T) T {
	if mutantAwake == id {
		return a / b
	}
	return a * b
}

func mutantDivide[T mutantNumber](id int, a, b T) T {
	if mutantAwake == id {
		return a * b
	}
	return a / b
}

func mutantRemainder[T mutantInteger](id int, a, b T) T {
	if mutantAwake == id {
		return a * b
	}
	return a % b
}

func mutantNegate[T mutantNumber](id int, a T) T {
	if mutantAwake == id {
		return a
	}
	return -a
}

func mutantNot(id int, a bool) bool {
	if mutantAwake == id {
		return a
	}
	return !a
}
`
